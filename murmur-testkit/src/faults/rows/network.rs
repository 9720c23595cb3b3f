//! What lies between a worker and its tables, and its broker.

use std::time::{Duration, Instant};

use crate::faults::feed::Load;
use crate::faults::proxy::dynamodb::Troubles;
use crate::faults::proxy::tcp::{Cut, Tcp, Toxics};
use crate::faults::trial::{Trial, Worker};
use crate::faults::{Failure, Finding, Settings};

pub(super) async fn unanswered(settings: Settings) -> Result<Finding, Failure> {
    let mut trial = Trial::new(&settings, "f04", Load::default()).await?;
    trial.dynamo.set(Troubles { unanswered: 0.1, dropped: 0.02, failed: 0.02, ..Troubles::default() });
    trial.feed()?;
    trial.spawn(Worker::named())?;
    trial.until(trial.load.length() + Duration::from_secs(5), |trial| trial.is_fed()).await?;
    trial.dynamo.set(Troubles::default());
    let lost = trial.dynamo.tally().unanswered;
    trial.figures.push(("unanswered", lost));
    // However slow the machine is: few writes, of which one in ten has no answer.
    Ok(trial.finish().await?.also(lost > 2, || format!("only {lost} answers were lost")))
}

pub(super) async fn out_of_order(settings: Settings) -> Result<Finding, Failure> {
    let mut trial = Trial::new(&settings, "f07", Load::default()).await?;
    trial.dynamo.set(Troubles { slow: Some(("k3".to_owned(), Duration::from_millis(900))), ..Troubles::default() });
    trial.feed()?;
    let worker = trial.spawn(Worker::named())?;
    let mut kills = 0;
    while !trial.is_fed() && kills < 4 || settings.length.is_some() && !trial.is_fed() {
        trial.pass_between(500, 1_500).await?;
        trial.kill(worker)?;
        kills += 1;
    }
    trial.pass(Duration::from_secs(2)).await?;
    trial.dynamo.set(Troubles::default());
    trial.figures.push(("killed", kills));
    trial.finish().await
}

pub(super) async fn throttled(settings: Settings) -> Result<Finding, Failure> {
    let mut trial = Trial::new(&settings, "f12", Load::default()).await?;
    trial.feed()?;
    trial.spawn(Worker::named())?;
    let mut storm = 0;
    while !trial.is_fed() || storm == 0 {
        for share in [0.3, 1.0, 0.6] {
            trial.dynamo.set(Troubles { throttled: share, ..Troubles::default() });
            trial.pass(Duration::from_millis(1_200)).await?;
        }
        storm += 1;
    }
    trial.dynamo.set(Troubles::default());
    let healed = Instant::now();
    let sent = trial.oracle.sent();
    trial.until(Duration::from_secs(60), |trial| trial.committed() >= sent).await?;
    let tally = trial.dynamo.tally();
    trial.figures.push(("throttled", tally.throttled));
    trial.figures.push(("catch_up_ms", healed.elapsed().as_millis() as u64));
    // A writer that does not back off would fill these seconds with requests: thousands each.
    let most = tally.writes + 600 * (1 + storm);
    Ok(trial.finish().await?.also(tally.throttled < most, || {
        format!("{} requests were throttled, with {} writes done: it did not back off", tally.throttled, tally.writes)
    }))
}

pub(super) async fn hot_key(settings: Settings) -> Result<Finding, Failure> {
    // Far below what one partition of DynamoDB takes, as the load is. Every flush wants about four.
    const UNITS: f64 = 4.0;
    let load = Load { hot: 0.9, ..Load::default() };
    let mut trial = Trial::new(&settings, "f13", load).await?;
    trial.dynamo.set(Troubles { units: Some(("hot".to_owned(), UNITS)), ..Troubles::default() });
    trial.feed()?;
    let worker = trial.spawn(Worker::named())?;
    trial.until(trial.load.length() + Duration::from_secs(5), |trial| trial.is_fed()).await?;
    let sent = trial.oracle.sent();
    let ended = Instant::now();
    trial.until(Duration::from_secs(60), |trial| trial.committed() >= sent).await?;
    let catch_up = ended.elapsed();
    let is_said = trial.worker(worker).errors().contains("a key is written more often");
    let tally = trial.dynamo.tally();
    let hot = tally.units_by_key.get("=hot").copied().unwrap_or(0.0);
    let per_second = hot / (trial.load.length() + catch_up).as_secs_f64();
    trial.figures.push(("units_of_the_hot_key", hot as u64));
    trial.figures.push(("throttled", tally.throttled));
    trial.figures.push(("catch_up_ms", catch_up.as_millis() as u64));
    Ok(trial
        .finish()
        .await?
        .also(hot > 0.0 && tally.throttled > 0, || "the hot key did not come to its limit".to_owned())
        .also(is_said, || "nobody says that a key is too hot".to_owned())
        .also(per_second <= UNITS * 2.0, || format!("the hot key used {per_second} units a second"))
        .also(catch_up < Duration::from_secs(10), || format!("others were behind for {catch_up:?}")))
}

pub(super) async fn black_hole(settings: Settings) -> Result<Finding, Failure> {
    let mut trial = Trial::new(&settings, "f15", Load { events: 8_000, rate: 600, ..Load::default() }).await?;
    let proxy = Tcp::start(&trial.dynamo.address.to_string(), trial.rng.u64(..)).await?;
    trial.endpoint = format!("http://{}", proxy.address);
    trial.feed()?;
    let worker = trial.spawn(Worker::named())?;
    trial.until(Duration::from_secs(20), |trial| trial.worker(worker).figure("flushes") > 2).await?;
    let holes = [
        Toxics { hold_requests: true, hold_replies: true, ..Toxics::default() },
        Toxics { hold_replies: true, ..Toxics::default() },
        Toxics { latency: Duration::from_millis(80), ..Toxics::default() },
        Toxics { down: true, ..Toxics::default() },
    ];
    loop {
        for toxics in holes {
            proxy.set(toxics);
            trial.pass(settings.length.map_or(Duration::from_millis(2_500), |length| length / 8)).await?;
            proxy.set(Toxics::default());
            trial.pass(Duration::from_millis(300)).await?;
            proxy.cut(Cut::HalfOpen);
            trial.pass(Duration::from_millis(200)).await?;
            proxy.cut(Cut::Reset);
        }
        if trial.is_fed() {
            break;
        }
    }
    let healed = Instant::now();
    let sent = trial.oracle.sent();
    let recovered = trial.until(Duration::from_secs(60), |trial| trial.committed() >= sent).await?;
    trial.figures.push(("recovery_ms", healed.elapsed().as_millis() as u64));
    Ok(trial.finish().await?.also(recovered, || "it did not recover within a minute".to_owned()))
}

pub(super) async fn one_way_to_the_broker(settings: Settings) -> Result<Finding, Failure> {
    let load = Load { events: 9_000, rate: 600, ..Load::default() };
    let mut trial = Trial::new(&settings, "f16", load).await?;
    let proxy = Tcp::kafka(&trial.brokers, trial.rng.u64(..)).await?;
    let direct = std::mem::replace(&mut trial.brokers, proxy.address.to_string());
    trial.feed()?;
    let cut_off = trial.spawn(Worker::default())?;
    trial.until(Duration::from_secs(30), |trial| trial.worker(cut_off).figure("flushes") > 2).await?;
    // Its sibling goes around the proxy, and gets its partitions when the session has run out.
    trial.brokers = direct;
    let sibling = trial.spawn(Worker::default())?;
    let partitions = u64::from(trial.load.partitions.cast_unsigned());
    let mut takeovers = 0;
    let ways =
        [Toxics { hold_requests: true, ..Toxics::default() }, Toxics { hold_replies: true, ..Toxics::default() }];
    for toxics in ways {
        trial.until(Duration::from_secs(20), |trial| trial.worker(cut_off).figure("partitions") > 0).await?;
        proxy.set(toxics);
        let all = |trial: &mut Trial| trial.worker(sibling).figure("partitions") == partitions;
        takeovers += u64::from(trial.until(Duration::from_secs(20), all).await?);
        trial.pass(Duration::from_millis(500)).await?;
        proxy.set(Toxics::default());
        trial.pass(Duration::from_millis(1_500)).await?;
    }
    trial.figures.push(("takeovers", takeovers));
    Ok(trial.finish().await?.also(takeovers > 0, || "the sibling never had all partitions".to_owned()))
}
