//! Compiles the `.proto` files in Rust alone: no `protoc` is needed.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo::rerun-if-changed=molt");
    let files = protox::compile(["molt/v1/coordinator.proto"], ["."])?;
    tonic_prost_build::configure()
        // A reply can be printed as it is: `--json` is the message itself.
        .type_attribute(".", "#[derive(serde::Serialize)]")
        // Maps are printed and compared: their order is fixed.
        .btree_map(".")
        .compile_fds(files)?;
    Ok(())
}
