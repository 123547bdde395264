//! Discrepancies, adaptation and cross translation against numbers computed elsewhere, by hand and by finite differences.
//!
//! Numbers of `golden_*` are those of `make_ops.py` (PyTorch, f64); inputs are its integer-hash fills.

use candle_core::{Device, Tensor, Var};
use mm_core::Result;
use mm_core::nn::{Linear, Mode, Parameters};
use mm_testing::{assert_close, fill, gradient_error, gradient_error_of};
use mod_distill::*;

fn tensor(values: &[f64], shape: &[usize]) -> Tensor {
    Tensor::from_slice(values, shape, &Device::Cpu).unwrap()
}

fn values(t: &Tensor) -> Vec<f64> {
    t.flatten_all().unwrap().to_vec1::<f64>().unwrap()
}

fn scalar(t: &Tensor) -> f64 {
    t.to_scalar::<f64>().unwrap()
}

fn gradient(loss: &Tensor, var: &Var) -> Tensor {
    loss.backward().unwrap().get(var).unwrap().clone()
}

/// c = Case("mmd", "multi_kernel")
#[test]
fn golden_mmd() -> Result<()> {
    let (r, p) = (Var::from_tensor(&fill(501, &[6, 8], 1.0, 0.0))?, fill(502, &[6, 8], 1.5, 0.3));
    let loss = maximum_mean_discrepancy(r.as_tensor(), &p, 2.0, 5)?;
    assert_close(&loss, &[0.921567439], 1e-7);
    #[rustfmt::skip]
    let expected = [0.0409661526, -0.0815873323, -0.0480260481, 0.063659917, 0.0420784311, -0.0137608526, -0.0211391306, 0.0782740726, -0.00811981419, -0.0182730913, -0.0854827556, -0.0178490835, -0.0156038685, -0.0377489822, -0.056683088, -0.00581424257, 0.0334694045, -0.00832506134, 0.00485284156, -0.0218692481, -0.0280868295, -0.101912394, 0.0257271175, -0.0317401614, 0.0555631409, -0.053414759, 0.00102328094, 0.0378788114, -0.0291383436, -0.0288208442, -0.0347664995, -0.0447902126, 0.0407836435, 0.0071601991, 0.00544641251, -0.00249353938, -0.0334775313, 0.0516064945, 0.0129405054, 0.0747200168, 0.0718727907, 0.0186112253, -0.0352320424, 0.0377849548, -0.0116982819, -0.0392937923, -0.0144834999, -0.0203199454];
    assert_close(&gradient(&loss, &r), &expected, 1e-7);
    Ok(())
}

/// c = Case("joint_mmd", "feature_times_prediction")
#[test]
fn golden_joint_mmd() -> Result<()> {
    let (r, p) = (Var::from_tensor(&fill(601, &[5, 6], 1.0, 0.0))?, fill(602, &[5, 6], 1.0, 0.2));
    let (z_r, z_p) = (Var::from_tensor(&fill(603, &[5, 3], 2.0, 0.0))?, fill(604, &[5, 3], 2.0, 0.0));
    let loss = joint_mmd(r.as_tensor(), &p, z_r.as_tensor(), &z_p, 2.0, 5, 1.68 * 1.68)?;
    assert_close(&loss, &[2.0406482], 1e-7);
    #[rustfmt::skip]
    let expected = [-0.0070005868, -0.00571918562, -0.384988281, -0.0217746804, -0.075017818, -0.103088411, -0.129842162, 0.0530191607, -0.0460471188, 0.0447418018, 0.0483500285, -0.0119852295, -0.116959886, -0.0832740283, -0.317968348, -0.0891337677, -0.120563586, -0.171698198, -0.14090931, -0.0197076527, -0.194430354, -0.0342447562, -0.0991826738, -0.0525095955, -0.0586603413, 0.017497936, -0.199357161, -0.0250842959, 0.0448136988, -0.087190666];
    assert_close(&gradient(&loss, &r), &expected, 1e-7);
    #[rustfmt::skip]
    let expected = [-0.0155091251, -0.0314361214, 0.0469452465, -0.00699288281, -0.0283915191, 0.0353844019, -0.033321825, -0.0387736104, 0.0720954354, 0.00354338363, -0.0174308428, 0.0138874592, -0.0283837802, -0.00192637873, 0.0303101589];
    assert_close(&gradient(&loss, &z_r), &expected, 1e-7);
    Ok(())
}

/// c = Case("joint_adaptation", "factorised")
#[test]
fn golden_joint_adaptation() -> Result<()> {
    let (r, p) = (Var::from_tensor(&fill(701, &[6, 4, 2, 2], 1.0, 0.0))?, fill(702, &[6, 4, 2, 2], 1.0, 0.0));
    let (z_r, z_p) = (Var::from_tensor(&fill(703, &[6, 5], 2.0, 0.0))?, fill(704, &[6, 5], 2.0, 0.0));
    let loss = joint_adaptation(r.as_tensor(), &p, z_r.as_tensor(), &z_p, 2.0, 1.0, 2.0)?;
    assert_close(&loss, &[2.91037662], 1e-7);
    #[rustfmt::skip]
    let expected = [0.0267417166, 0.0292656916, 0.0289106135, 0.0250218433, 0.0209717003, 0.0624984253, 0.0181488584, -0.0120421135, 0.0292865389, -0.0210901078, 0.0429357858, 0.0102238137, 0.11911487, 0.0752722823, -0.0746396145, 0.0726519229, 0.0399710353, 0.0273560218, 0.0200889218, 0.0193989077, 0.0295925135, 0.0503078263, 0.0255801266, 0.0187235827, 0.0243230184, -0.0126079254, 0.0627973743, 0.00637032322, 0.105105982, 0.0659399281, -0.0743365058, 0.0823625847, 0.0181367369, 0.0582994548, 0.0457363014, 0.0131405912, 0.0380006795, 0.0325111908, 0.0236812133, 0.0104295366, -0.00102005868, -0.0204884866, 0.0522063797, 0.00723099231, 0.075527511, 0.0427860472, -0.072431754, 0.0982248443, 0.0151271883, 0.049924773, 0.0320159681, 0.0056546607, 0.0121033823, 0.0365413415, 0.0219783355, 0.00576449887, 0.0168265688, -0.0142034544, 0.0232919729, 0.0236958557, 0.10326526, 0.0592706666, -0.0745505136, 0.0984294947, 0.0408744841, 0.0735377831, 0.0759391179, 0.0203493213, 0.030791676, 0.0767810102, 0.0184469902, 0.00220765689, 0.000864309094, -0.00456355178, 0.00298449052, 0.0550670754, 0.130903076, 0.0711908189, -0.0976718889, 0.111667084, 0.0370093548, 0.0518070322, 0.0333636419, 0.0151486586, 0.0615015256, 0.0384223856, 0.0324045162, 0.0358023226, 0.0229303824, 0.0112089626, 0.057465516, 0.00781572533, 0.110643282, 0.048777804, -0.0935493686, 0.115669674];
    assert_close(&gradient(&loss, &r), &expected, 1e-7);
    #[rustfmt::skip]
    let expected = [0.0290661637, 0.0115870422, -0.0209906451, -0.00779118812, -0.0118713726, -0.0351675083, -0.0148341902, 0.0317723321, -0.0203778493, 0.0386072157, -0.0147101571, 0.0215705259, -0.070444164, -0.0460485426, 0.109632338, -0.0861771101, 0.0111588942, 0.0130006603, 0.0936406257, -0.0316230701, -0.0452695459, 0.000427514568, -0.00614760501, 0.00801840287, 0.0429712334, 0.0387937363, -0.0539587664, -0.00297252327, -0.0483571682, 0.0664947215];
    assert_close(&gradient(&loss, &z_r), &expected, 1e-7);
    Ok(())
}

/// The layers of c = Case("cross_translation", "conv"), its 1 x 1 convolutions as matrices.
fn golden_translation(translate_1: &Tensor) -> CrossTranslation {
    let weight = |key, outputs| fill(key, &[outputs, 6], 1.0, 0.0);
    let bias = |key, outputs| Some(fill(key, &[outputs], 1.0, 0.0));
    let second = Linear::new(weight(805, 3), bias(806, 3));
    CrossTranslation::from_layers(vec![Linear::new(translate_1.clone(), bias(804, 3)), second], Linear::new(weight(807, 6), bias(808, 6)))
}

#[test]
fn golden_cross_translation() -> Result<()> {
    let (r, a) = (Var::from_tensor(&fill(801, &[2, 6, 3, 3], 1.0, 0.0))?, fill(802, &[2, 6, 3, 3], 1.0, 0.0));
    let weight = Var::from_tensor(&fill(803, &[3, 6], 1.0, 0.0))?;
    let out = golden_translation(weight.as_tensor()).forward(r.as_tensor(), &a, Mode::Eval)?;
    let rec = reconstruction(&out, r.as_tensor(), &a)?;
    #[rustfmt::skip]
    let expected = [1.11764647, 0.706868888, 1.36786914, 1.4579058, 1.22299872, 0.793712807, 1.20272013, 0.89620543, 1.152061, 0.961036509, 0.377998029, 1.22244041, 1.0802534, 1.00048022, 0.62902342, 1.04038729, 0.661155925, 0.94865527, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0300549432, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0240453272, 0.0521379148, 0.0, 0.348426916, 0.933524803, 0.446377006, 0.3839832, 0.337384261, 0.566877883, 0.362379201, 0.286599997, 0.758482871, 0.923238622, 1.34023167, 1.55734893, 1.25922105, 1.1802904, 1.03503014, 1.01340779, 0.956427, 1.15857608, 0.781415306, 1.17308381, 1.41886013, 1.2222117, 0.824773334, 0.883977763, 0.863809944, 0.779904775, 0.707810693, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0508973574, 0.0327838542, 0.197439612, 0.157872884, 0.100639592, 0.0358909726, 0.0374183785, 0.10463548, 0.0, 0.32574445, 0.408812167, 0.677363817, 0.217354593, 0.0, 0.33487764, 0.331331523, 0.233899761, 0.0863037919];
    assert_close(&out.fused, &expected, 1e-7);
    #[rustfmt::skip]
    let expected = [0.0, 0.0, 0.20789808, 0.0, 0.0, 0.527598028, 0.0, 0.357218676, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.305885446, 0.56472374, 0.0, 0.0, 0.0, 0.0, 0.0, 0.716885414, 0.160618694, 0.758672379, 0.619403645, 0.195739688, 0.0, 0.701274011, 0.754118891, 0.594001118, 0.0, 0.0, 0.0, 0.333787451, 0.184126264, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0248893209, 0.0, 0.0, 0.0, 0.124893105, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0317100728, 0.0823029353, 0.885124156, 0.0255353509, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0503342402, 0.0, 0.506252285, 0.0, 0.0, 0.807488834, 0.262232544, 0.0, 0.504878901, 0.43394574, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.534713114, 0.0, 0.0, 0.0, 0.0, 0.851824756, 0.0, 0.0, 0.144667625, 0.428142913];
    assert_close(&out.joint_restored, &expected, 1e-7);
    #[rustfmt::skip]
    let expected = [0.0, 1.38137994, 0.0, 0.623874115, 0.0, 0.0, 0.0, 0.0, 0.785659395, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.566731794, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0524329647, 0.588579039, 0.659946586, 0.708859824, 0.176715241, 0.218058701, 0.0, 0.548298712, 0.0, 0.380907822, 0.0, 0.627616326, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.511753064, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.985851092, 0.342598108, 0.0, 0.0, 0.0, 0.0, 0.223047374, 0.65930399, 0.892027913, 0.847718295, 0.39021661, 0.258053223, 0.468831697, 0.0, 0.379096599, 0.0, 0.0, 0.0, 0.00148127455, 0.442710155, 0.0, 0.0, 0.0, 0.244035419, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.123164219, 0.0];
    assert_close(&out.joint_available, &expected, 1e-7);
    assert_close(&rec, &[0.66580527], 1e-7);
    let loss = (out.fused.sqr()?.sum_all()? + rec)?;
    #[rustfmt::skip]
    let expected = [0.864325618, 0.498984679, 1.37414767, 1.72973214, 1.00816827, 0.00249029047, 0.937533405, 1.18829632, 0.898764986, -0.453635237, -0.261888608, -0.684904636, -0.542090837, -0.401525295, 0.00246162059, -0.49205783, 0.0396340719, -0.471710498, 0.506323193, 0.292305944, 1.03379446, 2.75806306, 0.555425968, -0.000463648148, 0.54920842, 1.38568929, 0.526497824, 0.103643323, 0.0598344297, -0.435941801, 1.7276663, 0.124423089, -0.00520967018, 0.112421842, 0.684083583, 0.107773029, -0.19355797, -0.111743144, -1.15202331, -1.75873277, -0.216471846, -0.00491820537, -0.209952198, -1.20548636, -0.201270358, -0.599511848, -0.346104778, -1.22549657, 0.595324297, -0.651762741, -0.00104140572, -0.65029009, 0.519890896, -0.623399615, -0.5665154, 0.232074685, -1.0398961, -0.778166017, 1.18626855, 0.802469192, 0.0, 1.11295894, 1.12232977, 1.68456433, 1.87293534, 3.09218755, 2.31391894, -0.218071965, -0.421170326, 0.0, -0.160457169, -0.552927551, 0.860455504, 1.85041924, 1.57945278, 1.18192238, 1.53320409, 0.470087609, 0.0, 1.5299192, 1.88990589, -1.50568445, -2.03955288, -2.76383553, -2.0682094, 1.08660906, 0.0962259735, 0.0, 1.12249679, 1.11680882, 1.51630734, 1.94594287, 2.78333491, 2.08280101, -0.908412257, -0.179705779, 0.0, -0.922404615, -1.20052577, -0.584837833, -1.56695109, -1.07352877, -0.803333727, 0.494073172, -0.556607114, 0.0, 0.60722516, 0.280884144];
    assert_close(&gradient(&loss, &r), &expected, 1e-7);
    #[rustfmt::skip]
    let expected = [0.517305329, 0.364306959, -1.46353527, -0.601352964, -0.139601773, 1.38964538, -2.27313839, 5.40951054, 4.03301665, -2.71264864, 1.59488337, 3.82874873, -1.72819631, -2.12980896, 2.33238734, 0.0116655961, -1.0433464, -1.18493896];
    assert_close(&gradient(&loss, &weight), &expected, 1e-7);
    Ok(())
}

/// Spec: F_r = 0, 0; F_p = 1, 1 gives bw = 2/3 and MMD² = 2 (5 - Σ exp(-1.5 · 2^(2 - i))).
#[test]
fn two_points_by_hand() -> Result<()> {
    let mmd = scalar(&maximum_mean_discrepancy(&tensor(&[0.0, 0.0], &[2, 1]), &tensor(&[1.0, 1.0], &[2, 1]), 2.0, 5)?);
    let by_hand: f64 = 2.0 * (0..5).map(|i| 1.0 - (-1.5 * 2f64.powi(2 - i)).exp()).sum::<f64>();
    assert!((mmd - by_hand).abs() < 1e-12 && (mmd - 7.129896).abs() < 1e-6, "{mmd}");
    Ok(())
}

#[test]
fn identical_sets_have_no_discrepancy_and_no_gradient() -> Result<()> {
    let p = fill(1, &[6, 5], 1.0, 0.0);
    let r = Var::from_tensor(&p)?;
    let loss = maximum_mean_discrepancy(r.as_tensor(), &p, 2.0, 5)?;
    assert!(scalar(&loss).abs() < 1e-12);
    assert_close(&gradient(&loss, &r), &[0.0; 30], 1e-9);
    Ok(())
}

#[test]
fn discrepancy_is_symmetric_and_blind_to_order() -> Result<()> {
    let (r, p) = (fill(2, &[6, 5], 1.0, 0.0), fill(3, &[6, 5], 1.0, 0.4));
    let order = Tensor::new(&[3u32, 0, 5, 1, 2, 4], &Device::Cpu)?;
    let mmd = scalar(&maximum_mean_discrepancy(&r, &p, 2.0, 5)?);
    let swapped = scalar(&maximum_mean_discrepancy(&p, &r, 2.0, 5)?);
    let permuted = scalar(&maximum_mean_discrepancy(&r.index_select(&order, 0)?, &p, 2.0, 5)?);
    assert!(mmd > 0.1 && (mmd - swapped).abs() < 1e-12 && (mmd - permuted).abs() < 1e-12);
    Ok(())
}

/// All rows equal: the bandwidth is 0, and neither value nor gradient is NaN.
#[test]
fn equal_rows_are_a_constant_zero() -> Result<()> {
    let r = Var::from_tensor(&Tensor::full(0.7f32, (4, 3), &Device::Cpu)?)?;
    let loss = maximum_mean_discrepancy(r.as_tensor(), &Tensor::full(0.7f32, (4, 3), &Device::Cpu)?, 2.0, 5)?;
    assert_eq!(loss.to_scalar::<f32>()?, 0.0);
    assert!(loss.backward()?.get(&r).is_none());
    let logits = Tensor::zeros((4, 2), candle_core::DType::F32, &Device::Cpu)?;
    assert_eq!(joint_mmd(r.as_tensor(), &r.as_tensor().detach(), &logits, &logits, 2.0, 5, 1.0)?.to_scalar::<f32>()?, 0.0);
    Ok(())
}

/// A batch of one is legal (the estimator is biased): 2 (num - Σ exp(-1 / scale_i)), since bw is the one distance.
#[test]
fn a_batch_of_one() -> Result<()> {
    let mmd = scalar(&maximum_mean_discrepancy(&tensor(&[1.0, 2.0], &[1, 2]), &tensor(&[0.0, 0.0], &[1, 2]), 2.0, 5)?);
    let by_hand: f64 = 2.0 * (0..5).map(|i| 1.0 - (-(2f64.powi(2 - i))).exp()).sum::<f64>();
    assert!((mmd - by_hand).abs() < 1e-12, "{mmd} against {by_hand}");
    Ok(())
}

/// The bandwidth has no gradient, so the differences are of the loss with the bandwidth at the start, written out plainly.
#[test]
fn discrepancy_gradient_equals_finite_differences() -> Result<()> {
    let (r, p) = (fill(4, &[4, 3], 1.0, 0.0), fill(5, &[4, 3], 1.0, 0.3));
    let rows = |t: &Tensor| t.to_vec2::<f64>().unwrap();
    let distance = |u: &[f64], v: &[f64]| -> f64 { u.iter().zip(v).map(|(a, b)| (a - b) * (a - b)).sum() };
    let all = [rows(&r), rows(&p)].concat();
    let bandwidth = all.iter().map(|u| all.iter().map(|v| distance(u, v)).sum::<f64>()).sum::<f64>() / 56.0;
    let fixed = |t: &Tensor| {
        let (r, p) = (rows(t), rows(&p));
        let k = |u: &[f64], v: &[f64]| -> f64 { (0..5).map(|i| (-distance(u, v) / (bandwidth * 2f64.powi(i - 2))).exp()).sum() };
        let mut sum = 0.0;
        for i in 0..4 {
            for j in 0..4 {
                sum += k(&r[i], &r[j]) + k(&p[i], &p[j]) - k(&r[i], &p[j]) - k(&p[i], &r[j]);
            }
        }
        Ok(tensor(&[sum / 16.0], &[1]).squeeze(0)?)
    };
    assert!((scalar(&fixed(&r)?) - scalar(&maximum_mean_discrepancy(&r, &p, 2.0, 5)?)).abs() < 1e-12);
    assert!(gradient_error_of(&r, |t| maximum_mean_discrepancy(t, &p, 2.0, 5), fixed) < 1e-6);
    Ok(())
}

#[test]
fn prediction_gradients_equal_finite_differences() -> Result<()> {
    let (r, p) = (fill(6, &[4, 3], 1.0, 0.0), fill(7, &[4, 3], 1.0, 0.3));
    let (z_r, z_p) = (fill(8, &[4, 3], 2.0, 0.0), fill(9, &[4, 3], 2.0, 0.0));
    let joint = |z: &Tensor| joint_mmd(&r, &p, z, &z_p, 2.0, 5, 0.8);
    assert!(gradient_error(&z_r, joint) < 1e-6);
    let factorised = |z: &Tensor| joint_adaptation(&r, &p, z, &z_p, 2.0, 1.5, 3.0);
    assert!(gradient_error(&z_r, factorised) < 1e-6);
    Ok(())
}

#[test]
fn translator_gradient_equals_finite_differences() -> Result<()> {
    let (r, a) = (fill(10, &[3, 6], 1.0, 0.0), fill(11, &[3, 6], 1.0, 0.0));
    let loss = |weight: &Tensor| -> Result<Tensor> {
        let out = golden_translation(weight).forward(&r, &a, Mode::Eval)?;
        Ok((out.fused.sqr()?.sum_all()? + reconstruction(&out, &r, &a)?)?)
    };
    assert!(gradient_error(&fill(12, &[3, 6], 1.0, 0.0), loss) < 1e-6);
    Ok(())
}

#[test]
fn swapping_the_features_swaps_the_joints() -> Result<()> {
    for dims in [&[3, 6][..], &[2, 6, 2, 3]] {
        let (r, a) = (fill(13, dims, 1.0, 0.0), fill(14, dims, 1.0, 0.0));
        let translation = golden_translation(&fill(803, &[3, 6], 1.0, 0.0));
        let (out, swapped) = (translation.forward(&r, &a, Mode::Eval)?, translation.forward(&a, &r, Mode::Eval)?);
        assert_close(&swapped.fused, &values(&out.fused), 1e-12);
        assert_eq!(values(&swapped.joint_restored), values(&out.joint_available));
        assert_eq!(values(&swapped.joint_available), values(&out.joint_restored));
        assert!(values(&out.joint_restored) != values(&out.joint_available));
    }
    Ok(())
}

/// With an odd number of channels the translators are one wider than half.
#[test]
fn odd_channels() -> Result<()> {
    let parameters = Parameters::new(0, &Device::Cpu);
    let translation = CrossTranslation::new(5, 2, &TranslationConfig::default(), parameters.builder())?;
    let (r, a) =
        (fill(15, &[4, 5], 1.0, 0.0).to_dtype(candle_core::DType::F32)?, fill(16, &[4, 5], 1.0, 0.0).to_dtype(candle_core::DType::F32)?);
    let out = translation.forward(&r, &a, Mode::Train)?;
    assert_eq!((out.fused.dims(), out.joint_restored.dims()), (&[4, 5][..], &[4, 6][..]));
    assert!(reconstruction(&out, &r, &a)?.to_scalar::<f32>()? > 0.0);
    Ok(())
}

/// T² KL(p ‖ p) = 0; and z/T is what the KL sees, so doubling logits and T multiplies the term by 4.
#[test]
fn divergence_of_equal_logits_and_temperature() -> Result<()> {
    let f = fill(17, &[4, 3], 1.0, 0.0);
    let (z_r, z_p) = (fill(18, &[4, 3], 2.0, 0.0), fill(19, &[4, 3], 2.0, 0.0));
    let term = |z_r: &Tensor, z_p: &Tensor, t: f64| Ok::<f64, mm_core::Error>(scalar(&joint_adaptation(&f, &f, z_r, z_p, 0.0, 1.0, t)?));
    assert!(term(&z_r, &z_r, 2.0)?.abs() < 1e-12);
    let (once, twice) = (term(&z_r, &z_p, 1.0)?, term(&(&z_r * 2.0)?, &(&z_p * 2.0)?, 2.0)?);
    assert!(once > 0.1 && (twice - 4.0 * once).abs() < 1e-12);
    Ok(())
}

#[test]
fn shapes_that_do_not_agree_are_named() {
    let (r, p) = (fill(1, &[4, 3], 1.0, 0.0), fill(1, &[4, 5], 1.0, 0.0));
    let error = maximum_mean_discrepancy(&r, &p, 2.0, 5).unwrap_err().to_string();
    assert!(error.contains("[4, 3]") && error.contains("[4, 5]"), "{error}");
    let error = golden_translation(&fill(803, &[3, 6], 1.0, 0.0)).forward(&r, &p, Mode::Eval).unwrap_err().to_string();
    assert!(error.contains("[4, 3]") && error.contains("[4, 5]"), "{error}");
    assert!(maximum_mean_discrepancy(&r, &fill(2, &[4, 3], 1.0, 0.0), 2.0, 0).unwrap_err().to_string().contains("kernel_num"));
}

#[test]
fn warm_up_rises_from_zero_to_one() {
    assert_eq!(warm_up(0.0, 0.1), 0.0);
    assert!((warm_up(0.05, 0.1) - (2.0 / (1.0 + (-5.0f64).exp()) - 1.0)).abs() < 1e-15);
    assert!(warm_up(0.1, 0.1) > 0.9999 && warm_up(0.9, 0.1) == warm_up(0.1, 0.1));
    assert_eq!(warm_up(0.0, 0.0), 1.0);
}
