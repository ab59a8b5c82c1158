//! A `Host` that a destination sets: applied where it is the only one, told where it is not.

mod common;

use common::sources;
use wattle_mesh_config::Documents;

fn told(route: &str) -> Vec<(String, String)> {
    let text = format!(
        "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {{name: v, namespace: n}}\nspec: {{hosts: [a], http: [{{route: [{route}]}}]}}\n"
    );
    let (_, findings) = Documents::parse(&sources(&[&text]));
    findings.into_iter().map(|finding| (finding.rule, finding.path)).collect()
}

#[test]
fn the_host_of_one_of_several_destinations_is_told_by_its_field() {
    for (name, written) in [("Host", ".Host"), (":authority", "[:authority]")] {
        let first = format!("{{destination: {{host: a}}, weight: 1, headers: {{request: {{set: {{'{name}': x}}}}}}}}");
        let both = format!("{first}, {{destination: {{host: b}}, weight: 1, headers: {{request: {{set: {{x: y}}}}}}}}");

        let path = format!("spec.http[0].route[0].headers.request.set{written}");
        assert_eq!(told(&both), [("not-applied".to_owned(), path)]);
        assert_eq!(told(&first), []);
    }
}
