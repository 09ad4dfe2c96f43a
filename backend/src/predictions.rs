//! Scores, remembered for a while: the same answers under the same bundle are the same score.

use crate::commons::Commons;
use crate::metrics::Metrics;
use sha2::{Digest, Sha256};
use std::sync::Arc;
use std::time::Duration;
use vereda_scoring::{InputError, Inputs, Model, Score};

/// Computes scores, or remembers them.
pub struct Predictions {
    /// Nothing is remembered without it.
    cache: Option<(Arc<dyn Commons>, Duration)>,
    metrics: Arc<Metrics>,
}

impl Predictions {
    /// Remembers for so long; not at all if that is nothing.
    pub fn new(cache: Arc<dyn Commons>, life: Duration, metrics: Arc<Metrics>) -> Predictions {
        Predictions { cache: (!life.is_zero()).then_some((cache, life)), metrics }
    }

    /// The score of these answers, to the bit.
    ///
    /// # Errors
    /// Everything that is wrong with the inputs.
    pub async fn score(&self, model: &Model, inputs: &Inputs) -> Result<Score, InputError> {
        let Some((cache, life)) = &self.cache else { return model.score(inputs) };
        let key = key(&model.reference().sha256, inputs);
        let remembered = cache.get(&key).await.and_then(|bytes| serde_json::from_slice::<Score>(&bytes).ok());
        // Of what another machine says, the margin is taken; the rest must follow from it.
        let remembered = remembered.filter(|score| {
            let probability = model.probability(score.margin);
            probability.to_bits() == score.probability.to_bits() && model.group(probability) == score.group
        });
        self.metrics.prediction_cache(remembered.is_some());
        if let Some(score) = remembered {
            return Ok(score);
        }
        let score = model.score(inputs)?;
        if let Ok(bytes) = serde_json::to_vec(&score) {
            cache.put(&key, bytes, *life).await;
        }
        Ok(score)
    }
}

/// Nothing of a client can be read from it.
fn key(bundle: &str, inputs: &Inputs) -> String {
    let mut hash = Sha256::new();
    hash.update(bundle);
    // A map by name: the same answers are the same text.
    hash.update(serde_json::to_vec(inputs).unwrap_or_default());
    format!("score:{}", hex::encode(hash.finalize()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commons::Memory;
    use vereda_scoring::Value;

    const SCORECARD: &[u8] = include_bytes!("../../models/bundles/reference-scorecard-1.json");
    const BOOSTED: &[u8] = include_bytes!("../../models/bundles/reference-boosted-2.json");

    #[tokio::test]
    async fn a_remembered_score_is_the_same_to_the_bit_and_of_its_own_model() {
        let memory = Memory::new(1000);
        let metrics = Arc::new(Metrics::new().unwrap());
        let predictions =
            Predictions::new(Arc::new(memory.clone()), Duration::from_secs(60), metrics.clone());
        for bytes in [SCORECARD, BOOSTED] {
            let model = Model::load(bytes).unwrap();
            for golden in &model.bundle().golden {
                let expected = model.score(&golden.inputs).unwrap();
                for _ in 0..2 {
                    let score = predictions.score(&model, &golden.inputs).await.unwrap();
                    assert_eq!(score, expected);
                    assert_eq!(score.margin.to_bits(), expected.margin.to_bits());
                }
            }
        }
        let text = metrics.render();
        assert!(text.contains(r#"vereda_prediction_cache_total{result="hit"}"#), "{text}");
        let model = Model::load(SCORECARD).unwrap();
        let mut wrong = model.bundle().golden[0].inputs.clone();
        wrong.insert("job".into(), Value::Category("astronaut".into()));
        assert!(predictions.score(&model, &wrong).await.is_err());
        assert!(predictions.score(&model, &wrong).await.is_err(), "a refusal is not remembered as a score");
    }

    #[tokio::test]
    async fn what_does_not_fit_the_model_is_computed_again() {
        let memory = Memory::new(1000);
        let metrics = Arc::new(Metrics::new().unwrap());
        let model = Model::load(SCORECARD).unwrap();
        let inputs = &model.bundle().golden[0].inputs;
        let expected = model.score(inputs).unwrap();
        let mut forged = expected.clone();
        forged.probability /= 2.0;
        let key = key(&model.reference().sha256, inputs);
        for value in [serde_json::to_vec(&forged).unwrap(), b"nonsense".to_vec()] {
            memory.put(&key, value, Duration::from_secs(60)).await;
            let predictions =
                Predictions::new(Arc::new(memory.clone()), Duration::from_secs(60), metrics.clone());
            assert_eq!(predictions.score(&model, inputs).await.unwrap(), expected);
        }
    }
}
