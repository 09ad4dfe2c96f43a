# Cliente: quién es, qué autorizó, qué ha pasado.
client-title = Cliente
client-edit = Editar cliente
client-assess = Evaluar
client-go-on = Continuar la entrevista
client-see-result = Ver resultado
client-undecided = Sin decisión
client-data = Datos
client-none = No registrado
client-officer = Asesor
client-since = Cliente desde
client-consented = { $date }, texto { $version }
client-delivery = Envío
client-timeline = Historia
client-timeline-rest = De cada dato se ven los tres últimos cambios; la central los guarda todos.
client-no-assessment = Aún no tiene evaluaciones
client-no-assessment-do = Toque «Evaluar» para hacer la entrevista. No hace falta conexión.
client-over-time-says = Riesgo en { $n } evaluaciones: de { $first } a { $last }. Arriba, el menor riesgo.
client-draft = Hay una entrevista sin terminar. Todo lo respondido está guardado.
client-draft-discard = Descartar la entrevista
client-draft-discard-ask = ¿Descartar la entrevista?
client-draft-discard-means = Se borran las respuestas de esta entrevista. El cliente y sus evaluaciones quedan.
client-draft-discarded = Entrevista descartada
# Fotos, firma, ubicación.
attachments-title = Fotos, firma y ubicación
attachments-none = Todavía no hay ninguna.
attachment-document = Documento de identidad
attachment-business = Negocio
attachment-signature = Firma
attachment-position = Ubicación
attachment-by = { $actor }, { $time }
attachment-waiting = Por enviar
attachment-see = Ver: { $name }
attachment-large = Imagen guardada
attachment-close = Cerrar
attachment-kept = Guardado
attachment-not-here = No está en este dispositivo.
attach-document = Foto del documento
attach-business = Foto del negocio
attach-signature = Firma
attach-position = Ubicación
signature-pad = Espacio para firmar
signature-help = El cliente firma con el dedo dentro del recuadro.
signature-keep = Guardar firma
signature-again = Borrar y repetir
# Conflictos.
conflict-title = { $field }: dos valores distintos
conflict-says = Vale «{ $holds }». { $actor } escribió «{ $lost }» sin saberlo ({ $time }).
conflict-keep = Conservar { $value }
conflict-use = Usar { $value }
conflict-settled = Conflicto resuelto
# Formulario.
client-label-name = Nombre completo
client-label-document = Documento de identidad
client-label-phone = Teléfono
client-label-place = Lugar
client-help-name = Como figura en el documento.
client-help-document = Con su tipo, por ejemplo CC 52.741.963.
client-help-phone = Con el que se le encuentra con más facilidad.
client-help-place = Vereda, caserío o dirección donde vive o trabaja.
client-required-name = Escriba el nombre completo.
client-required-document = Escriba el número del documento.
client-malformed-name = El nombre lleva al menos una letra.
client-malformed-document = El documento lleva al menos un número.
client-malformed-phone = Un teléfono tiene al menos 5 dígitos. Si no tiene, déjelo vacío.
client-malformed-place = Quite los caracteres que no se ven.
client-too-long = Use { $max } caracteres como máximo.
client-create = Crear cliente
client-create-anyway = Es otra persona: crear
client-created = Cliente creado
client-save = Guardar cambios
client-saved = Cambios guardados
client-not-editable = Usted puede ver a este cliente, pero no cambiarlo.
duplicate-title = { $n ->
    [one] Puede que ya esté registrado
   *[other] Puede que ya esté registrado: { $n } se parecen
  }
duplicate-do = Si es la misma persona, ábrala en lugar de crear otra.
duplicate-document = El mismo documento
duplicate-phone = El mismo teléfono
duplicate-name = Un nombre casi igual
duplicate-open = Es la misma persona: abrir
# Autorización.
consent-title = Autorización de datos
consent-text =
    Autorizo a la institución a usar mis datos personales (nombre, documento, teléfono, lugar y lo que responda en la entrevista) para evaluar mi solicitud de crédito y hacer seguimiento del préstamo.

    Sé que una evaluación automática estima el riesgo y que una persona toma la decisión.

    Puedo pedir en cualquier momento que me muestren mis datos, que los corrijan o que los borren cuando la ley lo permita, y puedo retirar esta autorización.
consent-version = Texto { $version }. Se registra con fecha { $date }.
consent-given = Leí el texto al cliente y está de acuerdo
consent-missing = Sin la autorización del cliente no se pueden guardar sus datos. Léale el texto y marque la casilla.
