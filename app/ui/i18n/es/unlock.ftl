# Desbloquear, cambiar de usuario y el primer inicio.
unlock = Desbloquear
unlock-prompt = Escriba su PIN
unlock-guarded = Usar huella o rostro
guarded-title = Abrir Vereda
guarded-reason = Sus datos se abren con su huella o su rostro.
guarded-cancel = Usar el PIN
unlock-wait = { $n ->
    [one] Espere { $n } segundo: podrá intentar a las { $time }
   *[other] Espere { $n } segundos: podrá intentar a las { $time }
  }
unlock-wait-minutes = { $n ->
    [one] Espere { $n } minuto: podrá intentar a las { $time }
   *[other] Espere { $n } minutos: podrá intentar a las { $time }
  }
other-user = Otro usuario
who-title = ¿Quién trabaja ahora?
who-apart = Cada persona tiene sus datos aparte y cifrados. Cambiar de usuario no borra nada.
who-somebody = Agregar otra persona
next = Continuar
enrol-title = Preparar este dispositivo
enrol-step = Paso { $step } de { $of }
enrol-server-intro = Hágalo una vez, con conexión. Después Vereda funciona sin red.
enrol-server-help = Se la da su institución.
enrol-server-missing = Escriba la dirección del servidor.
server-address = Dirección del servidor
username = Usuario
enrol-username-missing = Escriba su usuario.
password = Contraseña
enrol-password-help = Solo se usa ahora; no se guarda en el dispositivo.
enrol-password-missing = Escriba su contraseña.
enrol-pin = Elija un PIN
enrol-pin-help = Con él abrirá Vereda aunque no haya red. Seis dígitos o más; que no sea una secuencia ni se repita.
enrol-pin-weak = Ese PIN es fácil de adivinar. Elija otro.
enrol-pin-differs = Los dos PIN no coincidieron. Elíjalo de nuevo.
enrol-pin-again = Repita el PIN
enrol-pin-again-help = Nadie puede recuperarlo: asegúrese de recordarlo.
enrol-finish = Preparar el dispositivo
enrol-under-way = Iniciando sesión y cifrando el almacén…
