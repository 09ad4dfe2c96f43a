# El modelo.
model-none = Aún no hay modelo
model-none-do = Llega con la primera sincronización. Después podrá evaluar sin conexión.
model-to-sync = Ir a Sincronización
model-version = Versión { $version }
model-checked = { $n ->
    [one] Comprobado aquí con { $n } caso
   *[other] Comprobado aquí con { $n } casos
  }
model-age = { $n ->
    [0] Hecho hoy
    [one] Hecho hace { $n } día
   *[other] Hecho hace { $n } días
  }
model-made = Fecha del modelo
model-since = En uso aquí desde
model-questions = Preguntas
model-hash = Huella
model-purpose = Para qué sirve
model-limits = Sus límites
model-fairness = Trato justo
model-performance = Qué tan bien ordena
metric-auc = AUC (1 es perfecto, 0,5 es al azar)
metric-ks = KS (separación máxima)
metric-gini = Gini
metric-brier = Brier (menos es mejor)
metric-log_loss = Pérdida logarítmica (menos es mejor)
model-calibration = Lo previsto y lo ocurrido
model-calibration-means = Por grupo, en datos que el modelo no había visto. Bajo lo ocurrido, su intervalo de 95 %.
column-group = Grupo
column-predicted = Previsto
column-observed = Ocurrido
column-loans = Créditos
model-origin = De dónde viene
model-author = Autor
model-data = Datos
model-rows = Registros
model-source = Fuente
model-data-hash = Huella de los datos
model-updates = Historia
model-outcome-activated = Activado
model-outcome-refused = Rechazado
model-refused-title = La versión { $version } fue rechazada
model-refused-calm = El modelo anterior sigue en uso; puede evaluar con normalidad.
model-refusal-hash = El archivo no llegó completo o fue alterado.
model-refusal-format = Necesita una versión más nueva de la aplicación.
model-refusal-invalid = Al documento le falta algo o se contradice.
model-refusal-golden = En este dispositivo no da los resultados que debe dar.
model-refusal-rollback = Es más antiguo que el modelo en uso.
