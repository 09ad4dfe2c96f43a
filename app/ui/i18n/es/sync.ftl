# Sincronización.
sync-now = Sincronizar ahora
sync-under-way = Sincronizando…
sync-idle-means = Todo lo capturado está en el servidor y este dispositivo está al día.
sync-waiting-means = Está guardado y cifrado en este dispositivo. Se enviará solo cuando haya conexión.
sync-never-means = Conéctese una vez para recibir su cartera y el modelo.
sync-offline-means = Puede seguir trabajando: nada necesita la red.
sync-offline-next = Puede seguir trabajando. Se intentará de nuevo a las { $time }.
sync-connecting-means = Buscando el servidor e iniciando sesión.
sync-sending-means = Enviando lo capturado, en orden. Puede salir de esta pantalla.
sync-receiving-means = Recibiendo los cambios de su cartera. Si se corta, sigue donde quedó.
sync-receiving-earlier-means = Todos sus clientes ya están aquí con su última evaluación. Las anteriores siguen llegando; mientras tanto puede trabajar.
sync-files-means = Las entrevistas ya están en el servidor; ahora van las fotos y firmas. Si se corta, siguen donde quedaron.
sync-files-wait = { $n ->
    [one] Una foto o firma espera para ser enviada; está guardada aquí.
   *[other] { $n } fotos o firmas esperan para ser enviadas; están guardadas aquí.
  }
sync-model-means = Descargando y comprobando un modelo. El actual sigue en uso.
sync-last-error = Última falla: { $time }
sync-sign-in = Iniciar sesión de nuevo
sync-aside = { $n ->
    [one] { $n } registro apartado
   *[other] { $n } registros apartados
  }
sync-aside-means = El servidor los guardó, pero alguien debe revisarlos. No detienen a los demás.
aside-unknown-kind = El servidor todavía no conoce esta clase de registro: hay que actualizarlo.
aside-malformed = Tiene un valor que el servidor no admite.
aside-foreign = Pertenece a otro usuario, dispositivo o sucursal.
aside-not-allowed = Su rol no puede hacer esto, o el cliente es de otra cartera.
aside-unknown-record = Se refiere a un cliente o una evaluación que aún no llegó al servidor. Se resuelve solo cuando llegue.
aside-contradiction = El servidor ya tiene otro contenido con el mismo identificador y conservó el primero.
aside-erased = Los datos de este cliente se borraron a petición suya y lo que se registre sobre él no se guarda. No hay nada que hacer.
aside-other = El servidor dio un motivo que esta versión no conoce.
sync-unread = { $n ->
    [one] { $n } cambio del servidor necesita una versión más nueva de la aplicación. Todo lo demás está aquí.
   *[other] { $n } cambios del servidor necesitan una versión más nueva de la aplicación. Todo lo demás está aquí.
  }
sync-see-client = Ver al cliente
sync-waiting = { $n ->
    [0] Por enviar
    [one] Por enviar: { $n }
   *[other] Por enviar: { $n }
  }
sync-nothing-waits = Nada por enviar.
sync-more = { $n ->
    [one] y { $n } más
   *[other] y { $n } más
  }
sync-kind-client_captured = Cliente nuevo
sync-kind-client_edited = Datos corregidos
sync-kind-attached = Foto, firma o ubicación
sync-kind-assessed = Evaluación
sync-kind-decided = Decisión
# La agencia, para su jefe.
branch-title = Dispositivos de la agencia
branch-devices = { $n ->
    [one] Un dispositivo
   *[other] { $n } dispositivos
  }
branch-seen = último contacto: { $time }
branch-revoked = Revocado
branch-clock-off = Reloj desajustado
branch-nothing-aside = El servidor no ha apartado nada de esta agencia.
branch-aside = { $n ->
    [one] El servidor apartó un registro
   *[other] El servidor apartó { $n } registros
  }
branch-aside-at = registro { $seq }, { $time }
branch-again = Consultar de nuevo
sync-receipt = Lo que tiene el servidor
receipt-says = El servidor confirmó haber guardado hasta el registro { $seq }: { $time }.
receipt-none = El servidor aún no ha confirmado nada de este dispositivo.
receipt-seq = Último registro confirmado
receipt-hash = Huella
clock = Reloj del dispositivo
drift-seconds = { $n } s
drift-minutes = { $n } min
drift-hours = { $n } h
drift-days = { $n } días
drift-none = como el del servidor
drift-ahead = { $by } adelantado
drift-behind = { $by } atrasado
drift-unknown = Se medirá al conectar
drift-worrying = El reloj está lejos del reloj del servidor. Active la fecha y hora automáticas del dispositivo.
server = Servidor
device = Dispositivo
sync-runs = { $n ->
    [one] Último intento
   *[other] Últimos { $n } intentos
  }
run-well = Enviados: { $sent } · Recibidos: { $received }
share-log = Compartir el registro
share-log-help = Para soporte. No contiene datos de clientes.
log-copied = Registro copiado. Péguelo en un mensaje a soporte.
log-select = Seleccione el texto del registro y cópielo.
