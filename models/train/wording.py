"""Everything that people read, in Spanish (neutral, usted) and English."""


def t(es: str, en: str) -> dict:
    return {"es": es, "en": en}


NAMES = {
    "reference-scorecard": t("Tarjeta de puntaje de referencia", "Reference scorecard"),
    "reference-boosted": t("Modelo de árboles de referencia", "Reference boosted trees"),
}

SECTIONS = [
    {"id": "loan", "label": t("El préstamo", "The loan")},
    {"id": "work", "label": t("Trabajo e ingresos", "Work and income")},
    {"id": "home", "label": t("Hogar y gastos", "Home and expenses")},
    {"id": "wealth", "label": t("Patrimonio e historial", "Assets and credit history")},
]

# name -> section, label, help
QUESTIONS = {
    "amount": (
        "loan",
        t("Monto solicitado", "Amount requested"),
        t("Lo que el cliente pide prestado, sin intereses.", "What the client asks to borrow, without interest."),
    ),
    "term_months": (
        "loan",
        t("Plazo", "Term"),
        t("En cuántos meses se pagará el préstamo.", "Over how many months the loan will be repaid."),
    ),
    "price": (
        "loan",
        t("Precio del bien", "Price of the good"),
        t(
            "Lo que cuesta en total el bien que se compra con el préstamo.",
            "The full price of the good that the loan pays for.",
        ),
    ),
    "job": (
        "work",
        t("Tipo de trabajo", "Type of work"),
        t(
            "El trabajo del que vive principalmente el cliente.",
            "The work that the client mainly lives on.",
        ),
    ),
    "seniority_years": (
        "work",
        t("Antigüedad en el trabajo", "Time in the job"),
        t(
            "Años cumplidos en el trabajo actual; 0 si lleva menos de un año.",
            "Full years in the current job; 0 if less than one.",
        ),
    ),
    "income": (
        "work",
        t("Ingresos", "Income"),
        t(
            "Ingresos habituales que declara el cliente; 0 si declara no tener. Si no se saben, déjelo sin dato.",
            "The regular income the client states; 0 if the client states none. Leave it unknown if it is not known.",
        ),
    ),
    "home": (
        "home",
        t("Vivienda", "Housing"),
        t("En qué condición ocupa el cliente su vivienda.", "On what terms the client lives in the home."),
    ),
    "expenses": (
        "home",
        t("Gastos del hogar", "Household expenses"),
        t(
            "Gastos habituales del hogar, por el mismo período que los ingresos.",
            "Regular household expenses, over the same period as the income.",
        ),
    ),
    "assets": (
        "wealth",
        t("Valor de los bienes", "Value of assets"),
        t(
            "Valor estimado de lo que posee el cliente; 0 si no posee bienes.",
            "Estimated value of what the client owns; 0 if nothing.",
        ),
    ),
    "debt": (
        "wealth",
        t("Deudas", "Debts"),
        t("Lo que el cliente debe hoy a otros; 0 si no debe.", "What the client owes to others today; 0 if nothing."),
    ),
    "records": (
        "wealth",
        t("Antecedentes negativos de crédito", "Negative credit records"),
        t(
            "Si el cliente figura con atrasos o impagos en algún registro.",
            "Whether any register shows late or missed payments of the client.",
        ),
    ),
}

OPTIONS = {
    "job": {
        "fixed": t("Empleo fijo", "Permanent job"),
        "part_time": t("Medio tiempo", "Part-time"),
        "freelance": t("Independiente", "Self-employed"),
        "other": t("Otro", "Other"),
    },
    "home": {
        "rent": t("Alquilada", "Rented"),
        "owner": t("Propia", "Owned"),
        "private": t("Contrato privado", "Private contract"),
        "ignore": t("No precisa", "Not specified"),
        "parents": t("Con los padres", "With parents"),
        "other": t("Otra", "Other"),
    },
}

# name -> (raises, lowers)
REASONS = {
    "amount": (
        t("El monto que pide es alto frente a los préstamos habituales.", "The amount asked for is high for loans of this kind."),
        t("El monto que pide es moderado.", "The amount asked for is moderate."),
    ),
    "term_months": (
        t("El plazo es largo, y en más meses hay más ocasiones de atraso.", "The term is long, and more months leave more room for late payments."),
        t("El plazo es corto.", "The term is short."),
    ),
    "price": (
        t(
            "El precio del bien, frente al monto pedido, deja poco aporte propio.",
            "The price of the good, beside the amount asked for, leaves a small down payment.",
        ),
        t(
            "El precio del bien, frente al monto pedido, deja un buen aporte propio.",
            "The price of the good, beside the amount asked for, leaves a good down payment.",
        ),
    ),
    "job": (
        t("Con este tipo de trabajo los atrasos son más frecuentes.", "Late payments are more frequent with this type of work."),
        t("Su tipo de trabajo da estabilidad.", "This type of work gives stability."),
    ),
    "seniority_years": (
        t("Lleva poco tiempo en su trabajo.", "Little time in the present job."),
        t("Lleva bastante tiempo en su trabajo.", "A good while in the present job."),
    ),
    "income": (
        t("Los ingresos son bajos para este préstamo, o no se conocen.", "The income is low for this loan, or is not known."),
        t("Los ingresos respaldan este préstamo.", "The income supports this loan."),
    ),
    "home": (
        t("Con esta condición de vivienda los atrasos son más frecuentes.", "Late payments are more frequent with this kind of housing."),
        t("Su condición de vivienda da estabilidad.", "This kind of housing gives stability."),
    ),
    "expenses": (
        t("Los gastos del hogar son altos.", "The household's expenses are high."),
        t("Los gastos del hogar son moderados.", "The household's expenses are moderate."),
    ),
    "assets": (
        t("Cuenta con pocos bienes propios, o no se conocen.", "Few assets, or they are not known."),
        t("Cuenta con bienes propios que dan respaldo.", "Assets that give support."),
    ),
    "debt": (
        t("Ya tiene otras deudas, o no se conocen.", "Other debts already, or they are not known."),
        t("Tiene pocas deudas o ninguna.", "Few debts or none."),
    ),
    "records": (
        t("Figura con antecedentes negativos de crédito.", "Negative credit records."),
        t("No figura con antecedentes negativos de crédito.", "No negative credit records."),
    ),
}

_APPROVE = t("Puede aprobarse en la visita.", "May be approved during the visit.")
_REFER = t("Envíe el caso a la jefatura de la agencia.", "Send the case to the branch manager.")
_REFUSE = t(
    "No se recomienda prestar en estas condiciones; revise el monto y el plazo con el cliente.",
    "Lending on these terms is not advised; go over amount and term with the client.",
)
# Index in this list = index of the group.
GROUPS = [
    {"label": t("Riesgo muy bajo", "Very low risk"), "decision": "approve", "action": _APPROVE, "colour": "#0f766e"},
    {"label": t("Riesgo bajo", "Low risk"), "decision": "approve", "action": _APPROVE, "colour": "#2a8a6a"},
    {"label": t("Riesgo medio bajo", "Fairly low risk"), "decision": "approve", "action": _APPROVE, "colour": "#5c9a4c"},
    {"label": t("Riesgo medio", "Medium risk"), "decision": "approve", "action": _APPROVE, "colour": "#94a03a"},
    {"label": t("Riesgo medio alto", "Fairly high risk"), "decision": "refer", "action": _REFER, "colour": "#c89b2b"},
    {"label": t("Riesgo alto", "High risk"), "decision": "refer", "action": _REFER, "colour": "#cf7a2a"},
    {"label": t("Riesgo muy alto", "Very high risk"), "decision": "refuse", "action": _REFUSE, "colour": "#c2472f"},
    {"label": t("Riesgo extremo", "Extreme risk"), "decision": "refuse", "action": _REFUSE, "colour": "#9f1239"},
]

PURPOSE = {
    "reference-scorecard": t(
        "Mostrar el producto completo con un modelo que se puede leer línea por línea: la probabilidad de que una "
        "solicitud de préstamo de consumo termine en impago, con los datos que se toman en una entrevista.",
        "To show the whole product with a model that can be read line by line: the probability that an application "
        "for a consumer loan ends in default, from what is taken down in an interview.",
    ),
    "reference-boosted": t(
        "Mostrar el producto completo con un modelo de árboles, algo más preciso que la tarjeta de puntaje de "
        "referencia y con las mismas preguntas: la probabilidad de que una solicitud de préstamo de consumo termine "
        "en impago.",
        "To show the whole product with a tree model, somewhat sharper than the reference scorecard and with the same "
        "questions: the probability that an application for a consumer loan ends in default.",
    ),
}

LIMITS = [
    t(
        "Es un modelo de referencia: una institución debe entrenar el suyo, con sus propios clientes, antes de "
        "prestar según un puntaje.",
        "It is a reference model: an institution must train its own, on its own clients, before it lends on a score.",
    ),
    t(
        "Los datos son de un solo país, pocos (4454 solicitudes) y de hace décadas, sin fechas: no se pudo probar en un "
        "período posterior, y no se sabe en cuánto tiempo se observó el impago.",
        "The data come from one country, are few (4,454 applications) and decades old, without dates: the model could "
        "not be tested on a later period, and the time over which defaults were observed is not known.",
    ),
    t(
        "La moneda de los datos no consta (XXX): los montos no se corresponden con los de hoy.",
        "The currency of the data is not stated (XXX): the amounts do not correspond to today's.",
    ),
    t(
        "En los datos, 28 de cada 100 solicitudes terminaron en impago; donde esa proporción es otra, la probabilidad "
        "debe recalibrarse.",
        "In the data, 28 of 100 applications ended in default; where that share is different, the probability must be "
        "recalibrated.",
    ),
    t(
        "Un ingreso de 0 en los datos puede significar que no hay ingresos o que no se anotaron.",
        "An income of 0 in the data may mean that there is none or that it was not written down.",
    ),
]

LIMIT_DEBT = t(
    "Las deudas se preguntan y se guardan, pero no cuentan en esta versión: junto a las demás respuestas no aportan nada.",
    "Debts are asked and kept but do not count in this version: beside the other answers they add nothing.",
)

SOURCE = t(
    "es-credit-4k (CreditScoring.csv), datos de enseñanza de la UPC de Barcelona (minería de datos, Tomàs Aluja; página "
    "de Lluís A. Belanche); copia pública: gastonstat/CreditScoring en GitHub, que no declara licencia. El paquete de R "
    "modeldata (MIT) redistribuye los mismos datos como credit_data y nombra esta fuente.",
    "es-credit-4k (CreditScoring.csv), teaching data of UPC Barcelona (data mining, Tomàs Aluja; page of Lluís A. "
    "Belanche); public copy: gastonstat/CreditScoring on GitHub, which states no licence. The R package modeldata (MIT) "
    "redistributes the same data as credit_data and names this source.",
)


def fairness(young: dict, old: dict) -> dict:
    """From the audit: the ends of the age bands."""
    pc = lambda x: f"{100 * x:.0f}"  # noqa: E731
    return t(
        "La edad y el estado civil quedaron fuera del puntaje y del formulario; solo se usaron para auditar. Aun así, "
        "otros datos van unidos a ellos (la antigüedad en el trabajo, a la edad): la política sugiere aprobar al "
        f"{pc(young['approved'])} % de quienes tienen {young['value']} años y al {pc(old['approved'])} % de quienes tienen "
        f"{old['value'].replace('+', ' o más')}; entre los que pagaron bien, al {pc(young['approved_good'])} % y al "
        f"{pc(old['approved_good'])} %. Los impagos observados fueron el {pc(young['observed'])} % y el "
        f"{pc(old['observed'])} %. Así, a los jóvenes que pagarían bien se les aprueba menos: la "
        "institución debe juzgar si eso "
        "es admisible donde presta. La auditoría completa está en la ficha del modelo. El sexo no consta en los datos, así "
        "que no se pudo auditar.",
        "Age and marital status were kept out of the score and of the form, and used for the audit only. Other answers "
        "still go with them (time in the job goes with age): policy suggests approving "
        f"{pc(young['approved'])}% of applicants aged {young['value']} and {pc(old['approved'])}% of those aged "
        f"{old['value']}; among those who repaid, {pc(young['approved_good'])}% and {pc(old['approved_good'])}%. Observed "
        f"defaults were {pc(young['observed'])}% and {pc(old['observed'])}%. Young people who would repay are thus "
        "approved less often: the institution must judge "
        "whether that is admissible where it lends. The full audit is in the model card. Sex is not "
        "in the data, so it could not be audited.",
    )
