//! The program `coview-bench`: what coview costs between two processes, beside the hardware and other libraries.

#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    coview_bench::main()
}

#[cfg(not(target_os = "linux"))]
fn main() -> std::process::ExitCode {
    eprintln!("coview-bench: the benchmarks between processes are for Linux so far");
    std::process::ExitCode::from(2)
}
