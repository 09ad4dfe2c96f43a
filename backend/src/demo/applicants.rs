//! Invented clients with the figures of real applications: rows of es-credit-4k.

use crate::error::ServerError;
use serde::Deserialize;
use vereda_domain::client::{ClientField, ClientFields};
use vereda_scoring::{Inputs, Model, Value};

const ROWS: &str = include_str!("../../../models/data/es-credit-4k/CreditScoring.csv");

/// How the data set writes "not known".
const UNKNOWN: f64 = 99_999_999.0;

/// One client and what they answered.
#[derive(Debug, Clone)]
pub struct Applicant {
    /// Plainly fictional.
    pub fields: ClientFields,
    /// Of a row of the data set.
    pub inputs: Inputs,
}

/// A row as the data set's README describes it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Row {
    status: u8,
    seniority: f64,
    home: usize,
    time: f64,
    records: u8,
    job: usize,
    expenses: f64,
    income: f64,
    assets: f64,
    debt: f64,
    amount: f64,
    price: f64,
}

/// As many clients as asked for, others for each officer as long as the rows last.
///
/// # Errors
/// [`ServerError::Bundle`] when no row fits the model.
pub fn of_officer(model: &Model, officer: usize, clients: usize) -> Result<Vec<Applicant>, ServerError> {
    let mut reader = csv::Reader::from_reader(ROWS.as_bytes());
    let mut fitting = Vec::new();
    for row in reader.deserialize::<Row>() {
        let row = row.map_err(|e| ServerError::Bundle(format!("the sample data: {e}")))?;
        let inputs = row.inputs();
        if row.status != 0 && model.validate(&inputs).is_empty() {
            fitting.push(inputs);
        }
    }
    if fitting.is_empty() {
        return Err(ServerError::Bundle("no row of the sample data fits the model".into()));
    }
    let first = officer * clients;
    let applicants = fitting.iter().cycle().skip(first % fitting.len()).take(clients);
    Ok(applicants
        .enumerate()
        .map(|(index, inputs)| Applicant { fields: fields(first + index), inputs: inputs.clone() })
        .collect())
}

impl Row {
    fn inputs(&self) -> Inputs {
        let number = |x: f64| if x == UNKNOWN { Value::Missing } else { Value::Number(x) };
        let code = |codes: &[&str], code: usize| match code.checked_sub(1).and_then(|i| codes.get(i)) {
            Some(code) => Value::Category((*code).to_owned()),
            None => Value::Missing,
        };
        [
            ("amount", number(self.amount)),
            ("term_months", number(self.time)),
            ("price", number(self.price)),
            ("job", code(&["fixed", "part_time", "freelance", "other"], self.job)),
            ("seniority_years", number(self.seniority)),
            ("income", number(self.income)),
            ("home", code(&["rent", "owner", "private", "ignore", "parents", "other"], self.home)),
            ("expenses", number(self.expenses)),
            ("assets", number(self.assets)),
            ("debt", number(self.debt)),
            ("records", Value::Boolean(self.records == 2)),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into()
    }
}

const FIRST_NAMES: [&str; 40] = [
    "Adela",
    "Alirio",
    "Amparo",
    "Anselmo",
    "Beatriz",
    "Bernardo",
    "Blanca",
    "Camilo",
    "Clemencia",
    "Cristóbal",
    "Delfina",
    "Edilma",
    "Emiliano",
    "Estela",
    "Eusebio",
    "Fidelina",
    "Gilberto",
    "Graciela",
    "Heriberto",
    "Inés",
    "Isidro",
    "Jacinta",
    "Joaquín",
    "Leonor",
    "Libardo",
    "Luz Dary",
    "Marcelina",
    "Mauricio",
    "Nieves",
    "Octavio",
    "Ofelia",
    "Pastora",
    "Policarpo",
    "Rosalba",
    "Rubén",
    "Saturnino",
    "Teófilo",
    "Úrsula",
    "Virgilio",
    "Zoraida",
];

/// Words, not surnames: nobody can be taken for one of these.
const SURNAMES: [&str; 16] = [
    "Ejemplo",
    "Prueba",
    "Muestra",
    "Ensayo",
    "Modelo",
    "Maqueta",
    "Borrador",
    "Simulacro",
    "Quimera",
    "Fábula",
    "Leyenda",
    "Invento",
    "Bosquejo",
    "Boceto",
    "Ficción",
    "Supuesto",
];

const PLACES: [&str; 12] = [
    "Vereda La Maqueta",
    "Vereda El Ejemplo",
    "Vereda Agua Inventada",
    "Vereda Dos Bocetos",
    "Vereda Alto del Ensayo",
    "Vereda La Fábula",
    "Vereda Puente Imaginario",
    "Vereda El Borrador",
    "Vereda Loma Supuesta",
    "Vereda San Ficticio",
    "Vereda La Quimera",
    "Vereda Bajo Simulacro",
];

/// The nth client's. A name comes again only after 9,600 clients.
fn fields(n: usize) -> ClientFields {
    let pick = |list: &[&'static str], at: usize| list.get(at % list.len()).copied().unwrap_or_default();
    let first = pick(&FIRST_NAMES, n);
    let pair = n / FIRST_NAMES.len() + n;
    let surname = pair % SURNAMES.len();
    // Never the same word twice.
    let second = surname + 1 + (n / FIRST_NAMES.len() / SURNAMES.len() + n) % (SURNAMES.len() - 1);
    let check = n.to_string().bytes().map(|b| usize::from(b - b'0')).sum::<usize>() % 10;
    [
        (ClientField::Name, format!("{first} {} {}", pick(&SURNAMES, surname), pick(&SURNAMES, second))),
        (ClientField::Document, format!("DEMO-{n:06}-{check}")),
        (ClientField::Phone, format!("300 555 {:04}", n % 10_000)),
        (ClientField::Place, pick(&PLACES, n / 7).to_owned()),
    ]
    .into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use vereda_domain::client::check;

    #[test]
    fn clients_are_fictional_valid_and_rarely_alike() {
        let mut names = BTreeSet::new();
        for n in 0..1600 {
            let fields = fields(n);
            for (field, value) in &fields {
                assert_eq!(check(*field, value), Ok(()), "{value}");
            }
            assert!(fields[&ClientField::Document].starts_with("DEMO-"));
            let surnames: Vec<_> =
                fields[&ClientField::Name].split(' ').filter(|word| SURNAMES.contains(word)).collect();
            assert_eq!(surnames.len(), 2, "{fields:?}");
            assert_ne!(surnames[0], surnames[1]);
            names.insert(fields[&ClientField::Name].clone());
        }
        assert!(names.len() > 1500, "{}", names.len());
    }

    #[test]
    fn officers_get_different_rows_and_every_row_fits() {
        let model = Model::load(super::super::SCORECARD).unwrap();
        let (a, b) = (of_officer(&model, 0, 400).unwrap(), of_officer(&model, 1, 400).unwrap());
        assert_eq!((a.len(), b.len()), (400, 400));
        assert_ne!(a[0].inputs, b[0].inputs);
        assert!(a.iter().chain(&b).all(|applicant| model.score(&applicant.inputs).is_ok()));
        assert_eq!(of_officer(&model, 3, 5000).unwrap().len(), 5000, "more clients than rows");
    }
}
