# Lo que usan todas las pantallas.
skip-to-content = Ir al contenido
navigation = Navegación
nav-review = Revisión
nav-portfolio = Cartera
nav-model = Modelo
nav-sync = Sincronización
nav-settings = Ajustes
role-officer = Asesor de crédito
role-manager = Jefe de agencia
role-analyst = Analista de riesgo
role-admin = Administrador
role-service = Otro sistema
back = Volver
cancel = Cancelar
undo = Deshacer
dismiss = Descartar
try-again = Intentar de nuevo
loading = Cargando…
starting = Iniciando…
optional = opcional
choose = Elija o escriba para buscar
nothing-found = Nada coincide
show-password = Mostrar lo escrito
pin-delete = Borrar el último dígito
pin-digits = { $n ->
    [one] { $n } dígito escrito
   *[other] { $n } dígitos escritos
  }
lock = Bloquear
# El estado del mundo, en una línea.
world-offline = Sin conexión: puede seguir trabajando
world-offline-waiting = { $n ->
    [one] Sin conexión, { $n } por enviar
   *[other] Sin conexión, { $n } por enviar
  }
world-connecting = Conectando…
world-sending = Enviando { $done } de { $total }
world-receiving = Recibiendo { $done } de { $total }
world-receiving-earlier-begun = Llegan evaluaciones anteriores
world-receiving-earlier = Evaluaciones anteriores: { $done } de { $total }
world-files = { $n ->
    [one] Enviando { $n } foto: { $percent } %
   *[other] Enviando { $n } fotos: { $percent } %
  }
world-files-waiting = { $n ->
    [one] { $n } foto por enviar
   *[other] { $n } fotos por enviar
  }
world-model = Actualizando el modelo…
world-blocked = Detenido: { $cause }
world-waiting = { $n ->
    [one] { $n } por enviar
   *[other] { $n } por enviar
  }
world-sent = Enviado: { $time }
world-never = Aún no se ha sincronizado
world-locked = Guardado aquí; se envía al desbloquear
world-quarantined = { $n ->
    [one] { $n } apartado
   *[other] { $n } apartados
  }
# Probabilidad y grupos.
pd-below-one = menos de 1 de cada 100
pd-above-99 = más de 99 de cada 100
pd-in-100 = { $n } de cada 100
group-of-eight = Grupo { $n } de 8, de menor a mayor riesgo
scale-says = Grupo { $group }, probabilidad de incumplimiento { $pd }, en una escala de T1 (menor riesgo) a T8 (mayor riesgo)
raises = Sube el riesgo:
lowers = Baja el riesgo:
decision-approve = Aprobar
decision-refer = Remitir
decision-refuse = Negar
# Tiempo.
ago-now = ahora mismo
ago-minutes = hace { $n } min
ago-hours = hace { $n } h
ago-days = { $n ->
    [one] hace { $n } día
   *[other] hace { $n } días
  }
month-1 = ene
month-2 = feb
month-3 = mar
month-4 = abr
month-5 = may
month-6 = jun
month-7 = jul
month-8 = ago
month-9 = sep
month-10 = oct
month-11 = nov
month-12 = dic
