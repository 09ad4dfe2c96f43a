# La entrevista.
interview-title = Entrevista
interview-sections = Secciones
section-back = Anterior
section-done = { $name }: completa
score = Calificar
field-saved = Guardado { $time }
unit-years = años
unit-months = meses
problem-required = Falta esta respuesta.
problem-number = Escriba un número, solo con cifras.
problem-range = Debe estar entre { $min } y { $max }.
problem-option = Elija una de las opciones.
problem-unknown = Este modelo no hace esta pregunta.
estimate-missing = { $n ->
    [one] Falta { $n } respuesta para estimar
   *[other] Faltan { $n } respuestas para estimar
  }
estimate-hidden = Estimación oculta
estimate-hide = Ocultar la estimación
estimate-show = Mostrar la estimación
discard-title = ¿Descartar la entrevista?
discard-body = Se borrarán las respuestas de { $name } que aún no se han calificado. No se puede deshacer.
discard-yes = Descartar la entrevista
discard-done = Entrevista descartada
