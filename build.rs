//! Sets the run path of every binary, test and doctest to the libtorch that torch-sys links, so that none of them needs
//! `LD_LIBRARY_PATH`.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    if std::env::var_os("CARGO_FEATURE_TORCH").is_some() {
        // torch-sys passes the folder on through its `links = "tch"` metadata.
        println!("cargo:rerun-if-env-changed=DEP_TCH_LIBTORCH_LIB");
        if let Ok(lib) = std::env::var("DEP_TCH_LIBTORCH_LIB") {
            println!("cargo:rustc-link-arg=-Wl,-rpath,{lib}");
        }
    }
}
