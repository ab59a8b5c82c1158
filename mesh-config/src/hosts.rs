//! Host names: how they are completed, compared and made visible.

use crate::settings::MeshSettings;

/// Completes a short name with the namespace of the resource that uses it, as Istio does; names with a dot stay.
pub(crate) fn complete(host: &str, namespace: &str, settings: &MeshSettings) -> String {
    let mut full = String::with_capacity(host.len() + namespace.len() + settings.domain.len() + 6);
    full.push_str(host);
    full.make_ascii_lowercase();
    if !host.is_empty() && !host.bytes().any(|byte| matches!(byte, b'.' | b'*' | b':')) {
        for part in [".", namespace, ".svc.", &settings.domain] {
            full.push_str(part);
        }
    }
    full
}

/// Says whether a host, which may itself be a wildcard, lies within a pattern such as `*.example.com`.
pub(crate) fn within(host: &str, pattern: &str) -> bool {
    match pattern.strip_prefix('*') {
        None => host == pattern,
        Some(suffix) => match host.strip_prefix('*') {
            Some(other) => other.ends_with(suffix),
            None => host.ends_with(suffix) && host.len() > suffix.len(),
        },
    }
}

/// Says whether two hosts or patterns have a host in common.
pub(crate) fn overlap(one: &str, other: &str) -> bool {
    within(one, other) || within(other, one)
}

/// All names by which a client in a namespace can call a service, the full one first.
pub(crate) fn variants(host: &str, client_namespace: &str, settings: &MeshSettings) -> Vec<String> {
    let mut names = vec![host.to_owned()];
    let Some(rest) = host.strip_suffix(settings.domain.as_str()).and_then(|rest| rest.strip_suffix(".svc.")) else {
        return names;
    };
    let Some((name, namespace)) = rest.rsplit_once('.') else { return names };
    if namespace == client_namespace {
        names.push(name.to_owned());
    }
    names.push(format!("{name}.{namespace}"));
    names.push(format!("{name}.{namespace}.svc"));
    names
}

/// Splits `namespace/host`; without a slash there is no namespace.
pub(crate) fn split_scope(text: &str) -> (Option<&str>, &str) {
    match text.split_once('/') {
        Some((namespace, host)) => (Some(namespace), host),
        None => (None, text),
    }
}

/// Says whether `exportTo` shows a resource of one namespace to a client in another.
pub(crate) fn is_exported(export_to: &[String], owner: &str, client: &str) -> bool {
    if export_to.is_empty() {
        return true;
    }
    export_to.iter().any(|scope| match scope.as_str() {
        "*" => true,
        "." => owner == client,
        "~" => false,
        namespace => namespace == client,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_names_get_the_namespace_of_the_rule() {
        let settings = MeshSettings::default();

        assert_eq!(complete("reviews", "prod", &settings), "reviews.prod.svc.cluster.local");
        assert_eq!(complete("reviews.prod", "other", &settings), "reviews.prod");
        assert_eq!(complete("*.example.com", "other", &settings), "*.example.com");
    }

    #[test]
    fn a_wildcard_covers_hosts_and_narrower_wildcards() {
        assert!(within("a.example.com", "*.example.com"));
        assert!(within("*.a.example.com", "*.example.com"));
        assert!(within("a.com", "*"));
        assert!(!within("example.com", "*.example.com"));
        assert!(!within("*.com", "*.example.com"));
    }

    #[test]
    fn a_client_in_the_same_namespace_may_use_the_bare_name() {
        let settings = MeshSettings::default();

        let own = variants("a.ns.svc.cluster.local", "ns", &settings);
        let other = variants("a.ns.svc.cluster.local", "x", &settings);

        assert_eq!(own, ["a.ns.svc.cluster.local", "a", "a.ns", "a.ns.svc"]);
        assert_eq!(other, ["a.ns.svc.cluster.local", "a.ns", "a.ns.svc"]);
    }
}
