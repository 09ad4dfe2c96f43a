//! The page's own words, in both languages; everything else comes from the bundle.

use vereda_scoring::bundle::{Decision, Unit};

/// A text of the page: Spanish, English.
pub type Words = (&'static str, &'static str);

pub const MODEL_CARD: Words = ("Ficha del modelo", "Model card");
pub const LANGUAGE: Words = ("Idioma", "Language");
pub const VERSION: Words = ("versión", "version");
pub const CREATED: Words = ("Creado", "Created");
pub const BY: Words = ("por", "by");
pub const HOW_GOOD: Words = ("Qué tan bueno es", "How good it is");
pub const GROUPS: Words = ("Grupos de riesgo", "Risk groups");
pub const GROUPS_NOTE: Words = (
    "Una probabilidad igual a un corte cae en el grupo de mayor riesgo.",
    "A probability equal to a cut falls into the riskier group.",
);
pub const GROUP: Words = ("Grupo", "Group");
pub const PD_RANGE: Words = ("Probabilidad", "Probability");
pub const POLICY: Words = ("La política sugiere", "Policy suggests");
pub const SHARE: Words = ("Proporción de solicitudes", "Share of applications");
pub const OBSERVED: Words = ("Impago observado", "Observed default");
pub const CALIBRATION: Words = ("Calibración", "Calibration");
pub const CALIBRATION_NOTE: Words = (
    "Cada punto es un grupo; la línea vertical, su intervalo de Jeffreys del 95 %. Sobre la diagonal, lo previsto y lo observado coinciden.",
    "Each dot is a group, the line through it its Jeffreys 95 % interval. On the diagonal, what was predicted is what was observed.",
);
pub const PREDICTED_AXIS: Words = ("Probabilidad prevista", "Predicted probability");
pub const OBSERVED_AXIS: Words = ("Proporción observada", "Observed share");
pub const DISTRIBUTION: Words = ("Distribución de la probabilidad", "Distribution of the probability");
pub const DISTRIBUTION_NOTE: Words = (
    "Datos de entrenamiento, fuera de muestra. El área de una barra es su proporción de solicitudes.",
    "Training data, out of fold. The area of a bar is its share of applications.",
);
pub const SCORECARD: Words = ("Tarjeta de puntaje", "Scorecard");
pub const FEATURES: Words = ("Qué pregunta y cuánto pesa", "What it asks, and what that weighs");
pub const EXACT_NOTE: Words = (
    "El efecto es exacto: cuánto mueve cada respuesta el logaritmo de las posibilidades de impago, frente a la media de los datos de entrenamiento.",
    "The effect is exact: how far each answer moves the log-odds of default from the mean of the training data.",
);
pub const PARTIAL_NOTE: Words = (
    "El efecto es la dependencia parcial: cuánto mueve cada respuesta, en promedio, el logaritmo de las posibilidades de impago de solicitudes simuladas, cuyas otras respuestas se sortean de las distribuciones de referencia.",
    "The effect is the partial dependence: how far each answer moves, on average, the log-odds of default of simulated applications whose other answers are drawn from the reference distributions.",
);
pub const POINTS_NOTE: Words = (
    "Los puntos de todas las preguntas suman el puntaje; más puntos, menos riesgo.",
    "The points of all questions add up to the score; more points, less risk.",
);
pub const ANSWER: Words = ("Respuesta", "Answer");
pub const EFFECT: Words = ("Efecto", "Effect");
pub const POINTS: Words = ("Puntos", "Points");
pub const LOWERS: Words = ("baja el riesgo", "lowers the risk");
pub const RAISES: Words = ("sube el riesgo", "raises the risk");
pub const MISSING: Words = ("sin respuesta", "not known");
pub const YES: Words = ("sí", "yes");
pub const NO: Words = ("no", "no");
pub const UP_TO: Words = ("hasta", "up to");
pub const ABOVE: Words = ("más de", "above");
pub const NOT_SCORED: Words = ("no entra en el puntaje", "not scored");
pub const MAY_BE_MISSING: Words = ("puede faltar", "may be missing");
pub const NEVER_LOWERS: Words = ("más nunca baja el riesgo", "more never lowers the risk");
pub const NEVER_RAISES: Words = ("más nunca sube el riesgo", "more never raises the risk");
pub const IN_TRAINING: Words = ("En los datos de entrenamiento", "In the training data");
pub const REASONS: Words = ("Lo que dice de cada respuesta", "What it says about each answer");
pub const LIMITS: Words = ("Límites", "Limits");
pub const FAIRNESS: Words = ("Equidad", "Fairness");
pub const DATA: Words = ("Datos", "Data");
pub const ROWS: Words = ("filas", "rows");
pub const IDENTITY: Words = ("Identidad", "Identity");
pub const ESTIMATOR: Words = ("Estimador", "Estimator");
pub const CALIBRATED_BY: Words = ("Calibración", "Calibration");
pub const GOLDEN: Words = ("Vectores de control", "Golden vectors");
pub const EQUAL_TO_THE_BIT: Words = ("iguales bit a bit", "equal to the bit");
pub const SIZE: Words = ("Tamaño", "Size");
pub const UNKNOWN: Words = ("no consta", "not on record");

/// A metric's name as people say it, and what it means.
pub fn metric(name: &str) -> Option<(&'static str, Words)> {
    Some(match name {
        "auc" => ("AUC", ("1 separa perfectamente; 0.5, al azar", "1 separates perfectly, 0.5 is chance")),
        "ks" => ("KS", ("mayor distancia entre buenos y malos", "largest distance between good and bad")),
        "gini" => ("Gini", ("2 × AUC − 1", "2 × AUC − 1")),
        "brier" => {
            ("Brier", ("error cuadrático medio; menos es mejor", "mean squared error; less is better"))
        }
        "log_loss" => ("Log-loss", ("sorpresa media; menos es mejor", "mean surprise; less is better")),
        _ => return None,
    })
}

/// What policy suggests, in a word.
pub fn decision(decision: Decision) -> Words {
    match decision {
        Decision::Approve => ("aprobar", "approve"),
        Decision::Refer => ("consultar", "refer"),
        Decision::Refuse => ("rechazar", "refuse"),
    }
}

/// A unit after a number.
pub fn unit(unit: Unit) -> Words {
    match unit {
        Unit::None | Unit::Count | Unit::Currency => ("", ""),
        Unit::Years => ("años", "years"),
        Unit::Months => ("meses", "months"),
        Unit::Percent => ("%", "%"),
    }
}
