//! Invented clients and their answers, the same on every machine.

use crate::{Failure, bundle};
use vereda_domain::client::{ClientField, ClientFields};
use vereda_domain::event::{Assessment, Edit, EventBody};
use vereda_domain::{AssessmentId, ClientId};
use vereda_scoring::bundle::Kind;
use vereda_scoring::{Inputs, Model, Value};

/// Of everybody.
pub const PASSWORD: &str = "una palabra muy larga";

/// SplitMix64 (Steele, Lea and Flood, 2014).
pub struct Random(pub u64);

impl Random {
    /// The next 64 bits.
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// One of these.
    pub fn of<'a, T: ?Sized>(&mut self, all: &[&'a T]) -> &'a T {
        all[usize::try_from(self.next() % all.len() as u64).unwrap_or(0)]
    }

    /// From 0 up to below this.
    pub fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }
}

/// Two given names, two family names and a village, as people have them here.
pub const GIVEN: [&str; 24] = [
    "María", "José", "Luz", "Andrés", "Gloria", "Hernán", "Yolanda", "Álvaro", "Beatriz", "Óscar", "Nubia",
    "Wilson", "Rosa", "Íngrid", "Fabio", "Marleny", "Édgar", "Sandra", "Néstor", "Flor", "Jairo", "Aura",
    "Ramiro", "Ligia",
];
/// See [`GIVEN`].
pub const FAMILY: [&str; 24] = [
    "Quintero",
    "Muñoz",
    "Pérez",
    "Cárdenas",
    "Ospina",
    "Rincón",
    "Suárez",
    "Gómez",
    "Zapata",
    "Velásquez",
    "Ñustes",
    "Barrera",
    "Cifuentes",
    "Duarte",
    "Echeverri",
    "Forero",
    "Higuita",
    "Ibáñez",
    "Jaramillo",
    "Londoño",
    "Mejía",
    "Pineda",
    "Toro",
    "Urrego",
];
const PLACES: [&str; 8] = [
    "Vereda El Salado",
    "Vereda La Esperanza",
    "Corregimiento San José",
    "Vereda Agua Clara",
    "Alto del Mango",
    "Vereda Los Robles",
    "La Palma",
    "Vereda Dos Quebradas",
];

/// Makes applicants.
pub struct Applicants {
    /// Where the variety comes from.
    pub random: Random,
    model: Model,
}

impl Applicants {
    /// From this seed.
    pub fn new(seed: u64) -> Result<Applicants, Failure> {
        Ok(Applicants { random: Random(seed), model: Model::load(&bundle()?)? })
    }

    fn phone(&mut self) -> String {
        format!("3{:02} {:07}", self.random.below(51), self.random.below(10_000_000))
    }

    /// What is taken down of a client.
    pub fn fields(&mut self) -> ClientFields {
        let random = &mut self.random;
        let name = format!(
            "{} {} {} {}",
            random.of(&GIVEN),
            random.of(&GIVEN),
            random.of(&FAMILY),
            random.of(&FAMILY)
        );
        let document = (10_000_000 + random.below(1_089_999_999)).to_string();
        let phone = self.phone();
        let random = &mut self.random;
        [
            (ClientField::Name, name),
            (ClientField::Document, document),
            (ClientField::Phone, phone),
            (ClientField::Place, random.of(&PLACES).to_owned()),
        ]
        .into()
    }

    /// Answers, each question's drawn by itself within a tenth of what the form allows.
    pub fn answers(&mut self) -> Inputs {
        let random = &mut self.random;
        let features = &self.model.bundle().schema.features;
        features
            .iter()
            .map(|feature| {
                let value = match &feature.kind {
                    Kind::Boolean => Value::Boolean(random.below(2) == 1),
                    Kind::Category { options, .. } => {
                        let codes: Vec<&str> = options.iter().map(|option| option.code.as_str()).collect();
                        Value::Category(random.of(&codes).to_owned())
                    }
                    Kind::Number { min, max, .. } => {
                        let tenth = (max - min) / 10.0;
                        Value::Number(min + tenth * (random.below(1000) as f64 / 1000.0))
                    }
                    Kind::Integer { min, max, .. } => {
                        let tenth = u64::try_from((max - min) / 10).unwrap_or(0);
                        Value::Number((min + i64::try_from(random.below(1 + tenth)).unwrap_or(0)) as f64)
                    }
                };
                (feature.name.clone(), value)
            })
            .collect()
    }

    /// A new telephone number. What it replaces is looked up where it is captured.
    pub fn edited(&mut self, client: ClientId) -> EventBody {
        let edit = Edit { value: self.phone(), replaces: Vec::new() };
        EventBody::ClientEdited { client, edits: [(ClientField::Phone, edit)].into() }
    }

    /// An assessment.
    pub fn assessed(&mut self, client: ClientId) -> Result<EventBody, Failure> {
        let inputs = self.answers();
        let score = self.model.score(&inputs).map_err(|error| error.to_string())?.into();
        let id = AssessmentId(uuid::Uuid::now_v7());
        let model = self.model.reference();
        Ok(EventBody::Assessed(Box::new(Assessment { id, client, model, inputs, score })))
    }
}
