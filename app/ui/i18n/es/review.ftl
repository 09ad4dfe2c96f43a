# Revisión: la lista del jefe de agencia y el detalle de cada evaluación.
review-list = Evaluaciones por revisar
review-choose = Elija una evaluación
review-choose-do = La lista está a la izquierda. Con j y k avanza y retrocede sin soltar el teclado.
review-count = { $n ->
    [one] { $n } evaluación
   *[other] { $n } evaluaciones
  }
review-none = Aún no hay evaluaciones
review-none-do = Aparecerán aquí cuando los asesores de su agencia sincronicen.
review-all-decided = Todo está decidido
review-all-decided-do = Ninguna evaluación espera su decisión.
review-show-all = Ver todas
review-no-match = Nada coincide con los filtros
review-no-match-do = Quite alguno para ver más evaluaciones.
review-undecided = Sin decidir
review-by-officer = Asesor: { $what }
review-mismatch = Difiere
review-overridden = Excepción
review-waiting = Por enviar
# Filtros.
filters = Filtros
filter-undecided = Por decidir
filter-mismatch = Recálculo distinto
filter-overridden = Excepciones
filter-group = Grupo
filter-officer = Asesor
filter-age = Antigüedad
filter-any = Todos
filter-anybody = Todos
filter-any-age = Toda
filter-age-days = { $n ->
    [one] Último día
   *[other] Últimos { $n } días
  }
filter-clear = Quitar filtros
# Detalle.
review-scored-by = Evaluó { $officer }, { $time }
review-client = Ver el cliente
review-pd = Probabilidad de incumplimiento: { $pd }
review-suggests = La política sugiere: { $what }
review-reasons = Por qué
review-inputs = Lo que respondió el cliente
review-model = Modelo
review-model-name = Nombre y versión
review-model-made = Hecho el
review-model-hash = Huella SHA-256
review-margin = Margen y sus bits
review-copy = Copiar la huella
review-copied = Huella copiada
review-history = Historia
review-may-not = Usted no decide sobre esta evaluación.
review-went-against = Va contra la sugerencia de la política.
review-quarantined = El servidor apartó esta evaluación
review-quarantined-do = Está guardada, pero no aplicada. Revise la causa con soporte antes de decidir.
rescore-none = El servidor aún no la ha recalculado
rescore-none-means = Se recalcula al sincronizar. Hasta entonces vale lo que calculó el teléfono.
rescore-same = El servidor la recalculó: el mismo resultado
rescore-same-means = Los mismos bits con el mismo modelo y las mismas respuestas.
rescore-different = El servidor obtuvo otro resultado
rescore-different-means = Con el mismo modelo y las mismas respuestas debería dar lo mismo: hubo una manipulación o hay un error. No decida sin aclararlo con soporte.
rescore-impossible = El servidor no pudo recalcularla
rescore-impossible-means = El resultado es solo el del teléfono. La causa:
rescore-device = Teléfono
rescore-server = Servidor
decided-approve = Aprobado
decided-refer = Remitido
decided-refuse = Negado
event-captured = { $actor } registró al cliente
event-edited = { $actor } cambió { $field } a «{ $value }»
event-attached = { $actor } agregó: { $what }
event-emptied = { $actor } borró { $field }
event-assessed = { $actor } evaluó: { $group }, { $pd }, modelo { $version }
event-approve = { $actor } ({ $rank }) aprobó
event-refer = { $actor } ({ $rank }) remitió
event-refuse = { $actor } ({ $rank }) negó
answer-missing = No se sabe
answer-yes = Sí
answer-no = No
answer-years = { $n ->
    [one] { $n } año
   *[other] { $n } años
  }
answer-months = { $n ->
    [one] { $n } mes
   *[other] { $n } meses
  }
# Decidir.
review-ask-approve = ¿Aprobar el crédito de { $client }?
review-ask-refer = ¿Remitir el crédito de { $client } al comité?
review-ask-refuse = ¿Negar el crédito de { $client }?
review-ask-risk = Grupo { $group }, { $pd }.
review-as-suggested = Es lo que sugiere la política.
review-against = La política sugiere otra cosa ({ $what }): diga por qué.
review-next-sync = { $officer } verá la decisión en su próxima sincronización.
review-do-approve = Aprobar el crédito
review-do-refer = Remitir al comité
review-do-refuse = Negar el crédito
review-done-approve = Aprobado: { $client }
review-done-refer = Remitido: { $client }
review-done-refuse = Negado: { $client }
review-why = Motivo
review-why-missing = Elija el motivo
review-words = En palabras
review-words-help = Lo leerán el asesor y quien audite.
review-words-missing = Escriba el motivo en una frase
override-known_client = Conocemos al cliente
override-guarantee = Garantía o codeudor
override-not_in_the_form = Algo que el formulario no pregunta
override-doubtful_data = Un dato es dudoso
override-policy = Norma de la institución
override-other = Otro motivo
# Teclas.
keys-show = Teclas rápidas
keys-title = Teclas rápidas
keys-j = Siguiente evaluación
keys-k = Evaluación anterior
keys-a = Aprobar
keys-r = Remitir
keys-x = Negar
keys-help = Mostrar esta ayuda
keys-on = Usar teclas de una sola letra
close = Cerrar
