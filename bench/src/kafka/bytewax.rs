//! Bytewax counting the same windows on the same broker: `bench/peers/hourly_views.py`, in the virtual environment that
//! `scripts/tools.sh bytewax` makes.

use std::process::Command;

use super::peer::{folder, found, number, object, output, root, target};
use super::stream::Stream;
use super::{Found, Result};
use crate::resources::Meter;

pub(super) fn run(stream: &Stream) -> Result<Found> {
    output(Command::new(root()?.join("scripts/tools.sh")).arg("bytewax"), "it installs Bytewax, with bash")?;
    let counts = folder("bytewax")?.join("counts");
    let python = target()?.join("tools/bytewax/bin/python");
    let program = root()?.join("bench/peers/hourly_views.py");
    // Of all processes and threads that the program starts, from the start of the interpreter on.
    let meter = Meter::children();
    let printed = output(
        Command::new(python).arg(program).args([stream.brokers(), &stream.topic]).arg(&counts),
        "`scripts/tools.sh bytewax` installs it",
    )?;
    let used = meter.used();
    found(stream, used, number(&object(&printed)?, "rss_mib"), &counts)
}
