//! Kafka Streams counting the same windows on the same broker: `bench/peers/HourlyViews.java`, with the libraries that
//! `scripts/services.sh` has installed for the broker.

use std::process::Command;

use super::peer::{folder, found, number, object, output, root, target};
use super::stream::Stream;
use super::{Found, Result};
use crate::resources::Used;

const NEEDS: &str = "a JDK from version 17 on is needed";

/// Count with this guarantee.
pub(super) fn run(stream: &Stream, guarantee: &str) -> Result<Found> {
    let libraries = target()?.join("services/kafka/lib");
    if !libraries.is_dir() {
        return Err(format!("{} is not there; `scripts/services.sh start kafka` installs it", libraries.display()));
    }
    let work = folder("streams")?;
    let classpath = format!("{}:{}/*", work.display(), libraries.display());
    let program = root()?.join("bench/peers/HourlyViews.java");
    output(Command::new("javac").args(["-cp", &classpath, "-d"]).arg(&work).arg(program), NEEDS)?;
    let counts = work.join("counts");
    let events = stream.events.to_string();
    let printed = output(
        Command::new("java")
            .args(["-Xms1g", "-Xmx1g", "-cp", &classpath, "HourlyViews", stream.brokers(), &stream.topic, &events])
            .arg(guarantee)
            .arg(work.join("state"))
            .arg(&counts),
        NEEDS,
    )?;
    let said = object(&printed)?;
    let used = Used { wall_s: number(&said, "wall_s"), cpu_s: number(&said, "cpu_s"), user_s: f64::NAN };
    found(stream, used, number(&said, "rss_mib"), &counts)
}
