# Cartera: buscar, terminar lo empezado, abrir a un cliente.
portfolio-search = Nombre, documento o teléfono
portfolio-search-clear = Borrar la búsqueda
portfolio-drafts = Por terminar
portfolio-draft = { $done } de { $of } respuestas
portfolio-clients = Clientes
portfolio-count = { $n ->
    [one] { $n } cliente
   *[other] { $n } clientes
  }
portfolio-found = { $n ->
    [one] { $n } coincide
   *[other] { $n } coinciden
  }
portfolio-whom = ¿A quién va a evaluar?
portfolio-choose = Elija un cliente
portfolio-choose-do = La lista está a la izquierda. Busque por nombre, documento o teléfono; las tildes no importan.
portfolio-none-found = Nadie coincide con «{ $query }»
portfolio-none-found-do = Pruebe con menos letras, o con el documento o el teléfono. Si es alguien nuevo, regístrelo.
portfolio-empty = Aún no hay clientes
portfolio-empty-do = Registre al primero; no hace falta conexión. Si ya los tiene en el servidor, llegarán al sincronizar.
portfolio-empty-manager-do = Aparecerán cuando los asesores de su agencia sincronicen.
new-assessment = Nueva evaluación
new-client = Cliente nuevo
client-waiting = Por enviar
client-conflict = Conflicto
client-never-assessed = Sin evaluar
