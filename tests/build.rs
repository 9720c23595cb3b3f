//! Makes a client of the page-traffic service from its `.proto` alone.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    murmur_build::client("../examples/page-traffic/proto/page_traffic/v1/page_traffic.proto")
}
