//! Makes a client of the page-traffic service from its `.proto` alone, a descriptor of what a test sends, and what the
//! program of a test embeds.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    murmur_build::run();
    murmur_build::client("../examples/page-traffic/proto/page_traffic/v1/page_traffic.proto")?;
    murmur_build::descriptor("proto/shop/v1/order.proto")
}
