//! What the environment says of the way to the source; the library itself reads none of it.

use incdec::download::source::{Keys, Proxies, S3Keys, Secret};

/// A variable that is set and not blank, by the first of these names that is.
fn first(names: &[&str]) -> Option<String> {
    let mut values = names.iter().filter_map(|name| std::env::var(name).ok());
    values.find(|value| !value.trim().is_empty())
}

fn secret(name: &str) -> Option<Secret> {
    first(&[name]).map(Secret::new)
}

/// The proxies, by the names that curl and its kin read.
pub(crate) fn proxies() -> Proxies {
    let of = |names: [&str; 4]| first(&names).map(Secret::new);
    Proxies {
        http: of(["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"]),
        https: of(["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"]),
        exempt: first(&["no_proxy", "NO_PROXY"]).unwrap_or_default(),
    }
}

/// The credentials of object stores, by the names that the stores' own tools read.
pub(crate) fn keys() -> Keys {
    let id = first(&["AWS_ACCESS_KEY_ID"]);
    Keys {
        s3: id
            .zip(secret("AWS_SECRET_ACCESS_KEY"))
            .map(|(id, secret_key)| S3Keys {
                id,
                secret: secret_key,
                token: secret("AWS_SESSION_TOKEN"),
            }),
        google: secret("GOOGLE_OAUTH_ACCESS_TOKEN"),
        azure: secret("AZURE_STORAGE_SAS_TOKEN"),
    }
}

/// The region that the tools of AWS would take.
pub(crate) fn region() -> Option<String> {
    first(&["AWS_REGION", "AWS_DEFAULT_REGION"])
}
