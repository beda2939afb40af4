//! Compiles Boost.Interprocess behind C functions, if the feature `boost` asks for it.

fn main() {
    println!("cargo::rerun-if-changed=src/bare/boost.cpp");
    #[cfg(feature = "boost")]
    cc::Build::new().cpp(true).std("c++17").file("src/bare/boost.cpp").compile("coview_bench_boost");
}
