//! Networks that predict every pixel.

mod esanet;
mod resize;
mod translation;
mod unet;

pub(crate) use translation::mod_distill;

use crate::error::{Error, Result};
use crate::gaussian::predicted_mean;
use crate::graph::{Graph, Value};
use crate::layers::pool;
use crate::method::udml::Weights;
use crate::sensors::Sensors;
use crate::target::Prediction;
use crate::weights::Scope;
use mm_baselines::Imputation;
use mm_core::Subset;
use mm_core::dense::DenseConfig;
use mm_core::fusion::NetworkConfig;
use resize::{crop, padded};
use udml::{EstimatorInput, UdmlConfig, WeightForm};

/// Maps of the fused sensors, from which a decoder predicts.
struct Pyramid {
    /// The finest first.
    skips: Vec<Value>,
    /// The deepest map.
    context: Value,
}

/// What becomes of absent sensors where maps meet.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Absent {
    /// Their maps are zero, and they do not count.
    Zero,
    /// Their maps are what their encoders make of zeros, or nobody asks: all count.
    Counts,
}

/// How the sensors of a network meet.
struct Meeting<'a> {
    sensors: &'a Sensors,
    subset: Subset,
    absent: Absent,
    /// `[batch, sensors]`.
    weights: Option<Value>,
}

impl Meeting<'_> {
    /// The map of a sensor as it is added to the others.
    fn part(&self, graph: &mut Graph, m: usize, map: &Value) -> Value {
        let map = match self.absent {
            Absent::Zero => self.sensors.masked(graph, m, map),
            Absent::Counts => map.clone(),
        };
        let Some(weights) = &self.weights else { return map };
        let weight = graph.column(weights, m);
        let weight = graph.stretched(&weight, 3);
        graph.binary("Mul", &map, &weight)
    }

    /// A sum of maps over how many sensors there are.
    fn mean(&self, graph: &mut Graph, sum: &Value) -> Value {
        match self.absent {
            Absent::Zero => {
                let count = self.sensors.count(graph);
                let count = graph.with_number("Max", &count, 1.0);
                let count = graph.stretched(&count, 3);
                graph.binary("Div", sum, &count)
            }
            Absent::Counts if self.subset.len() == 1 => sum.clone(),
            Absent::Counts => graph.with_number("Mul", sum, 1.0 / self.subset.len() as f32),
        }
    }
}

/// The maps of a sensor, one a depth.
type Maps = Vec<Value>;

/// A network of either kind.
struct Network<'a, 'p> {
    config: DenseConfig,
    scope: &'a Scope<'p>,
    /// Height and width of the readings.
    size: [usize; 2],
}

impl<'a, 'p> Network<'a, 'p> {
    fn new(config: &NetworkConfig, sensors: &Sensors, subset: Subset, scope: &'a Scope<'p>) -> Result<Self> {
        let config = config.dense.clone().unwrap_or_default();
        let sizes = subset.indices().map(|m| match *sensors.all[m].spec.shape {
            [_, height, width] => Ok([height, width]),
            _ => Err(Error::unsupported(format!("the sensor `{}`", sensors.all[m].name), "gives no maps [channels, height, width]")),
        });
        let sizes = sizes.collect::<Result<Vec<_>>>()?;
        match sizes.iter().find(|size| **size != sizes[0]) {
            Some(other) => {
                Err(Error::unsupported("the network", format!("reads maps of {:?} and {other:?}: all must have one size", sizes[0])))
            }
            None => Ok(Self { config, scope, size: sizes[0] }),
        }
    }

    /// The maps of each sensor before they meet; of a carrier the first alone.
    fn encode(&self, graph: &mut Graph, sensors: &Sensors, subset: Subset) -> Result<Vec<Maps>> {
        let values = subset.indices().map(|m| (sensors.all[m].name.clone(), sensors.all[m].value.clone()));
        match &self.config {
            DenseConfig::UNet(config) => unet::encode(graph, config, values, self.scope),
            DenseConfig::EsaNet(config) => esanet::encode(graph, config, values, self.scope),
        }
    }

    /// Of each sensor the deepest map that no other has a part in.
    fn own_maps(&self, maps: &[Maps]) -> Vec<Value> {
        maps.iter().filter_map(|maps| maps.last().cloned()).collect()
    }

    fn fuse(&self, graph: &mut Graph, maps: &[Maps], meeting: &Meeting) -> Result<Pyramid> {
        match &self.config {
            DenseConfig::UNet(config) => Ok(unet::fuse(graph, config, maps, meeting)),
            DenseConfig::EsaNet(config) => esanet::fuse(graph, config, maps, meeting, self.scope),
        }
    }

    fn decode(&self, graph: &mut Graph, pyramid: &Pyramid) -> Result<Value> {
        let scope = self.scope.pp("decoder");
        let logits = match &self.config {
            DenseConfig::UNet(_) => unet::decode(graph, pyramid, &scope)?,
            DenseConfig::EsaNet(config) => esanet::decode(graph, &config.decoder, pyramid, &scope)?,
        };
        Ok(crop(graph, &logits, self.size))
    }

    fn logits(&self, graph: &mut Graph, meeting: &Meeting) -> Result<Value> {
        let maps = self.encode(graph, meeting.sensors, meeting.subset)?;
        let pyramid = self.fuse(graph, &maps, meeting)?;
        self.decode(graph, &pyramid)
    }
}

/// A network of all sensors that reads those that are there.
pub(crate) fn plain(graph: &mut Graph, sensors: &Sensors, config: &NetworkConfig, scope: &Scope) -> Result<Prediction> {
    baseline(graph, sensors, config, Imputation::ZeroFeature, scope)
}

/// A network with zeros or the maps of the training mean in place of what is absent.
pub(crate) fn baseline(
    graph: &mut Graph,
    sensors: &Sensors,
    config: &NetworkConfig,
    imputation: Imputation,
    scope: &Scope,
) -> Result<Prediction> {
    let absent = if imputation == Imputation::Mean { Absent::Counts } else { Absent::Zero };
    let meeting = Meeting { sensors, subset: sensors.full(), absent, weights: None };
    let logits = Network::new(config, sensors, meeting.subset, scope)?.logits(graph, &meeting)?;
    Ok(Prediction::of_any(graph, sensors, logits))
}

/// The logits of a network of all sensors that reads those that are there.
pub(crate) fn logits(graph: &mut Graph, sensors: &Sensors, config: &NetworkConfig, scope: &Scope) -> Result<Value> {
    let meeting = Meeting { sensors, subset: sensors.full(), absent: Absent::Zero, weights: None };
    Network::new(config, sensors, meeting.subset, scope)?.logits(graph, &meeting)
}

/// The logits of a network of some sensors, which are all there where they are asked for.
pub(crate) fn member(graph: &mut Graph, sensors: &Sensors, config: &NetworkConfig, subset: Subset, scope: &Scope) -> Result<Value> {
    let meeting = Meeting { sensors, subset, absent: Absent::Counts, weights: None };
    Network::new(config, sensors, subset, scope)?.logits(graph, &meeting)
}

/// A network whose deepest map is the mean of a distribution.
pub(crate) fn dmrnet(graph: &mut Graph, sensors: &Sensors, config: &NetworkConfig, norm: bool, scope: &Scope) -> Result<Prediction> {
    let meeting = Meeting { sensors, subset: sensors.full(), absent: Absent::Zero, weights: None };
    let network = Network::new(config, sensors, meeting.subset, scope)?;
    let maps = network.encode(graph, sensors, meeting.subset)?;
    let fused = network.fuse(graph, &maps, &meeting)?;
    let context = predicted_mean(graph, &fused.context, norm, &scope.pp("mean"))?;
    let logits = network.decode(graph, &Pyramid { context, ..fused })?;
    Ok(Prediction::of_any(graph, sensors, logits))
}

/// A network that scales the maps of each sensor by how clean it is.
pub(crate) fn udml(graph: &mut Graph, sensors: &Sensors, config: &UdmlConfig, scope: &Scope) -> Result<Prediction> {
    let subset = sensors.full();
    let network = Network::new(&config.network, sensors, subset, scope)?;
    let maps = network.encode(graph, sensors, subset)?;
    let mut meeting = Meeting { sensors, subset, absent: Absent::Zero, weights: None };
    let mut further = Vec::new();
    if config.weights == WeightForm::Dynamic {
        let read = match config.estimator_input {
            EstimatorInput::OwnEncoder => {
                let features = crate::encoder::encode_all(graph, sensors, &config.network, subset, &scope.pp("noise_encoders"))?;
                features.into_iter().map(|(_, feature)| feature).collect()
            }
            _ => network.own_maps(&maps),
        };
        let read: Vec<Value> = read.iter().map(|map| pool(graph, map)).collect();
        let weights = Weights::of(graph, sensors, config, &read, &vec![1.0; read.len()], scope)?;
        meeting.weights = Some(match config.residual {
            true => {
                let raised = graph.with_number("Add", &weights.weights, 1.0);
                graph.with_number("Mul", &raised, 0.5)
            }
            false => weights.weights.clone(),
        });
        further = weights.further();
    }
    let pyramid = network.fuse(graph, &maps, &meeting)?;
    let logits = network.decode(graph, &pyramid)?;
    Ok(Prediction { further, ..Prediction::of_any(graph, sensors, logits) })
}
