//! What the crate depends on, held to the list in `.ci/deny.toml`: licences, and versions that stand beside a newer one.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::process::Command;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use spdx::{Expression, ParseMode};

use crate::support::root;

/// The packages of this repository.
const OWN: [&str; 2] = ["incdec", "incdec-fuzz"];

/// A package that the build, or a test, takes.
#[derive(Clone, Deserialize, PartialEq, Eq, PartialOrd, Ord)]
struct Package {
    id: String,
    name: String,
    version: String,
    license: Option<String>,
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
    resolve: Resolve,
}

#[derive(Deserialize)]
struct Resolve {
    nodes: Vec<Node>,
}

#[derive(Deserialize)]
struct Node {
    id: String,
}

fn printed_by(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program)
        .args(arguments)
        .current_dir(root())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments:?}: {said}");
    String::from_utf8(output.stdout).unwrap()
}

/// Every package that is compiled on this machine, the crate's own apart.
fn packages() -> Vec<Package> {
    let about = printed_by("rustc", &["-vV"]);
    let host = about.lines().find_map(|line| line.strip_prefix("host: "));
    let arguments = "metadata --locked --format-version 1 --filter-platform";
    let mut arguments: Vec<&str> = arguments.split(' ').collect();
    arguments.push(host.unwrap());
    let metadata: Metadata = serde_json::from_str(&printed_by("cargo", &arguments)).unwrap();
    let used: BTreeSet<String> = metadata.resolve.nodes.into_iter().map(|n| n.id).collect();
    let packages = metadata.packages.into_iter();
    packages
        .filter(|package| used.contains(&package.id) && !OWN.contains(&&*package.name))
        .collect()
}

/// A value of `.ci/deny.toml`.
fn rule<T: DeserializeOwned>(section: &str, name: &str) -> T {
    let text = fs::read_to_string(root().join(".ci/deny.toml")).unwrap();
    let rules: toml::Table = text.parse().unwrap();
    rules[section][name].clone().try_into().unwrap()
}

#[test]
fn every_licence_is_one_that_is_allowed() {
    let allowed: BTreeSet<String> = rule("licenses", "allow");
    let packages = packages();
    assert!(packages.len() > 100, "{}", packages.len());
    let mut refused = Vec::new();
    for Package {
        name,
        version,
        license,
        ..
    } in packages
    {
        let license = license.unwrap_or_default();
        // Some still write MIT/Apache-2.0.
        let expression = Expression::parse_mode(&license, ParseMode::LAX);
        let is_allowed =
            expression.is_ok_and(|e| e.evaluate(|needed| allowed.contains(&needed.to_string())));
        if !is_allowed {
            refused.push(format!("{name} {version}: {license:?}"));
        }
    }
    assert!(refused.is_empty(), "not in .ci/deny.toml: {refused:#?}");
}

#[derive(Deserialize)]
struct Skip {
    #[serde(rename = "crate")]
    package: String,
}

/// Two versions of one package are compiled twice, and their types do not fit together.
#[test]
fn no_package_is_there_in_two_versions_but_those_that_are_listed() {
    let mut versions: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for package in packages() {
        versions
            .entry(package.name)
            .or_default()
            .insert(package.version);
    }
    let skips: Vec<Skip> = rule("bans", "skip");
    // `name@0.8` stands for 0.8.1, too.
    let is_meant = |skip: &Skip, name: &str, version: &str| {
        let (meant, begin) = skip.package.split_once('@').unwrap();
        let rest = version.strip_prefix(begin);
        meant == name && rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    };
    versions.retain(|_, versions| versions.len() > 1);
    for skip in &skips {
        let mut doubled = versions
            .iter()
            .flat_map(|(name, v)| v.iter().map(move |v| (name, v)));
        assert!(
            doubled.any(|(name, version)| is_meant(skip, name, version)),
            "{} stands in .ci/deny.toml and is no second version",
            skip.package
        );
    }
    for (name, mut versions) in versions {
        versions.retain(|version| !skips.iter().any(|skip| is_meant(skip, &name, version)));
        assert!(
            versions.len() <= 1,
            "{name} {versions:?}: not in .ci/deny.toml"
        );
    }
}
