//! What lies between a worker and its tables, and its broker.

use std::time::{Duration, Instant};

use crate::faults::feed::Load;
use crate::faults::proxy::dynamodb::Troubles;
use crate::faults::proxy::tcp::{Cut, Tcp, Toxics};
use crate::faults::trial::{PATIENCE, RECOVERS, Trial, Worker};
use crate::faults::{Failure, Finding, Settings};

pub(super) async fn unanswered(settings: Settings) -> Result<Finding, Failure> {
    const LEAST: u64 = 10;
    let mut trial = Trial::new(&settings, "f04", Load { events: 8_000, ..Load::default() }).await?;
    trial.dynamo.set(Troubles { unanswered: 0.1, dropped: 0.02, failed: 0.02, ..Troubles::default() });
    trial.hold_feed(2_000);
    trial.feed()?;
    let worker = trial.spawn(Worker::named())?;
    // However slow the machine is, there is something to write until answers of writes were lost.
    let began = Instant::now();
    let lost = |trial: &Trial| trial.dynamo.tally().unanswered_tiles;
    while !trial.is_fed() && (settings.length.is_some() || lost(&trial) < LEAST && began.elapsed() < PATIENCE) {
        trial.let_feed(if settings.length.is_some() { 100 } else { 30 });
        trial.pass(Duration::from_millis(100)).await?;
    }
    trial.dynamo.set(Troubles::default());
    trial.let_feed(trial.load.events);
    let (all, lost, sent) = (trial.dynamo.tally().unanswered, lost(&trial), trial.oracle.sent());
    let is_over = |trial: &mut Trial| trial.committed() >= sent && trial.worker(worker).figure("ambiguous") >= lost;
    let counted = trial.until(trial.load.length() + PATIENCE, is_over).await?;
    let ambiguous = trial.worker(worker).figure("ambiguous");
    trial.figures.push(("unanswered", all));
    trial.figures.push(("unanswered_writes", lost));
    trial.figures.push(("ambiguous", ambiguous));
    Ok(trial
        .finish()
        .await?
        .also(lost >= LEAST, || format!("only {lost} answers of writes were lost"))
        .also(counted, || format!("{lost} answers of writes were lost, and {ambiguous} are said to be ambiguous")))
}

pub(super) async fn out_of_order(settings: Settings) -> Result<Finding, Failure> {
    const SLOW: &str = "k3";
    let mut trial = Trial::new(&settings, "f07", Load::default()).await?;
    let slow = Troubles { slow: Some((SLOW.to_owned(), Duration::from_millis(900))), ..Troubles::default() };
    trial.dynamo.set(slow);
    trial.hold_feed(0);
    trial.feed()?;
    let worker = trial.spawn(Worker::named())?;
    let (mut arrivals, mut kills, mut overtaken) = (trial.oracle.arrivals(), 0, 0);
    let began = Instant::now();
    while trial.goes_on(kills >= 4 && (overtaken > 0 || began.elapsed() > PATIENCE)) {
        trial.let_feed(1_000);
        trial.until(PATIENCE, |trial| trial.worker(worker).figure("read") > 0).await?;
        let until = Instant::now() + Duration::from_millis(trial.rng.u64(500..1_500));
        while Instant::now() < until {
            trial.pass(Duration::from_millis(50)).await?;
            arrivals.look().await?;
            overtaken += u64::from(arrivals.is_overtaken(&format!("={SLOW}")));
        }
        trial.kill(worker)?;
        kills += 1;
    }
    trial.let_feed(trial.load.events);
    trial.pass(Duration::from_secs(2)).await?;
    trial.dynamo.set(Troubles::default());
    trial.figures.push(("killed", kills));
    trial.figures.push(("looks_with_the_key_behind", overtaken));
    Ok(trial.finish().await?.also(overtaken > 0, || "the slow key was never behind the others".to_owned()))
}

pub(super) async fn black_hole(settings: Settings) -> Result<Finding, Failure> {
    /// Longer than the sessions of workers and the time outs of their requests are.
    const LONG: Duration = Duration::from_secs(120);
    let load = Load { events: 8_000, rate: 600, partitions: 4, ..Load::default() };
    let mut trial = Trial::new(&settings, "f15", load).await?;
    let proxy = Tcp::start(&trial.dynamo.address.to_string(), trial.rng.u64(..)).await?;
    trial.endpoint = format!("http://{}", proxy.address);
    trial.feed()?;
    let workers = [trial.spawn(Worker::named())?, trial.spawn(Worker::named())?];
    let shared = trial.settle().await?.is_some();
    let all_flush = |trial: &mut Trial| workers.iter().all(|at| trial.worker(*at).figure("flushes") > 2);
    trial.until(PATIENCE, all_flush).await?;
    let holes = [
        Toxics { hold_requests: true, hold_replies: true, ..Toxics::default() },
        Toxics { hold_replies: true, ..Toxics::default() },
        Toxics { latency: Duration::from_millis(80), ..Toxics::default() },
        Toxics { down: true, ..Toxics::default() },
    ];
    let usual = settings.length.map_or(Duration::from_millis(2_500), |length| length / 8);
    // Where there is time for it the first hole is a long one.
    let first = if settings.length > Some(LONG) { LONG.max(usual) } else { usual };
    let mut rounds = 0;
    while rounds == 0 || !trial.is_fed() {
        for (nth, toxics) in holes.into_iter().enumerate() {
            proxy.set(toxics);
            trial.pass(if (rounds, nth) == (0, 0) { first } else { usual }).await?;
            proxy.set(Toxics::default());
            trial.pass(Duration::from_millis(300)).await?;
            proxy.cut(Cut::HalfOpen);
            trial.pass(Duration::from_millis(200)).await?;
            proxy.cut(Cut::Reset);
        }
        rounds += 1;
    }
    let healed = Instant::now();
    let sent = trial.oracle.sent();
    let recovered = trial.until(RECOVERS, |trial| trial.committed() >= sent).await?;
    let kept = trial.settle().await?.is_some();
    trial.figures.push(("holes", rounds * holes.len() as u64));
    trial.figures.push(("longest_hole_ms", first.as_millis() as u64));
    trial.figures.push(("recovery_ms", healed.elapsed().as_millis() as u64));
    Ok(trial
        .finish()
        .await?
        .also(shared && kept, || "the workers do not share out all partitions".to_owned())
        .also(recovered, || format!("it did not recover within {RECOVERS:?}")))
}

pub(super) async fn one_way_to_the_broker(settings: Settings) -> Result<Finding, Failure> {
    let load = Load { events: 9_000, rate: 600, ..Load::default() };
    let mut trial = Trial::new(&settings, "f16", load).await?;
    let proxy = Tcp::kafka(&trial.brokers, trial.rng.u64(..)).await?;
    let direct = std::mem::replace(&mut trial.brokers, proxy.address.to_string());
    trial.feed()?;
    let cut_off = trial.spawn(Worker::default())?;
    trial.until(PATIENCE, |trial| trial.worker(cut_off).figure("flushes") > 2).await?;
    // Its sibling goes around the proxy, and gets its partitions when the session has run out.
    trial.brokers = direct;
    let sibling = trial.spawn(Worker::default())?;
    let partitions = u64::from(trial.load.partitions.cast_unsigned());
    let ways =
        [Toxics { hold_requests: true, ..Toxics::default() }, Toxics { hold_replies: true, ..Toxics::default() }];
    let (mut takeovers, mut bad) = (0, None);
    while bad.is_none() && trial.goes_on(takeovers >= ways.len()) {
        let shared = trial.settle().await?.is_some();
        trial.let_feed(trial.load.events);
        let before = trial.worker(cut_off).figure("flushes");
        trial.until(PATIENCE, |trial| trial.worker(cut_off).figure("flushes") > before || trial.is_fed()).await?;
        proxy.set(ways[takeovers % ways.len()]);
        let all = |trial: &mut Trial| trial.worker(sibling).figure("partitions") == partitions;
        let taken = trial.until(PATIENCE, all).await?;
        trial.pass(Duration::from_millis(500)).await?;
        // What was held up on its way is let through, and is too late: commits would be behind this, and stay there.
        let sent = trial.stand_still().await?;
        proxy.set(Toxics::default());
        let stays = trial.stays_at(sent.unwrap_or(0), Duration::from_millis(1_500)).await?;
        bad = match (shared, taken, sent, stays) {
            (false, ..) => Some("the workers do not share out all partitions"),
            (_, false, ..) => Some("the sibling never had all partitions"),
            (.., None, _) => Some("the sibling did not commit everything"),
            (.., false) => Some("a commit of the one that was cut off was accepted"),
            _ => None,
        };
        takeovers += 1;
    }
    trial.figures.push(("takeovers", takeovers as u64));
    Ok(trial.finish().await?.also(bad.is_none(), || bad.unwrap_or_default().to_owned()))
}
