//! Tables that take little, or refuse by the dice, and flushes as the engine makes them.

use std::cell::RefCell;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;

use super::*;
use crate::store::dynamodb::limiter::{Limiter, Overload, lock};

/// A table that takes so many writes a second and keeps those of a second; and that could carry out so many.
struct Table {
    units: f64,
    left: f64,
    since: Instant,
    free_from: Instant,
    taken: u64,
    refused: u64,
    /// Refuses so many of a hundred requests, whatever comes.
    moody: u64,
    dice: u64,
}

const WAY: Duration = Duration::from_millis(2);
const WRITES: f64 = 1_600.0;

impl Table {
    fn new(units: f64) -> RefCell<Self> {
        let now = Instant::now();
        let (taken, refused) = (0, 0);
        RefCell::new(Self {
            units,
            left: units,
            since: now,
            free_from: now,
            taken,
            refused,
            moody: 0,
            dice: 0x9e37_79b9_7f4a_7c15,
        })
    }

    /// Take a write, which is done at some time, or refuse it.
    fn ask(&mut self) -> Option<Instant> {
        let now = Instant::now();
        self.left = (self.left + (now - self.since).as_secs_f64() * self.units).min(self.units);
        self.since = now;
        for shift in [13_i32, -7, 17] {
            self.dice ^= if shift > 0 { self.dice << shift } else { self.dice >> -shift };
        }
        if self.left < 1.0 || self.dice % 100 < self.moody {
            self.refused += 1;
            return None;
        }
        self.left -= 1.0;
        self.taken += 1;
        self.free_from = self.free_from.max(now) + Duration::from_secs_f64(1.0 / WRITES);
        Some(self.free_from)
    }
}

/// A flush of so many writes, as the engine makes it: what is refused is sent again together, after a pause.
async fn flush(limiter: &Limiter, table: &RefCell<Table>, writes: usize) {
    let (mut left, mut pause) = (writes, Duration::from_millis(10));
    while left > 0 {
        let mut sent = FuturesUnordered::new();
        let (mut waiting, mut again) = (left, 0);
        while waiting > 0 || !sent.is_empty() {
            while waiting > 0 && sent.len() < limiter.most() {
                waiting -= 1;
                sent.push(async {
                    let slot = limiter.enter("t", 100).await;
                    tokio::time::sleep(WAY).await;
                    let answer = table.borrow_mut().ask();
                    tokio::time::sleep_until(answer.unwrap_or_else(Instant::now) + WAY).await;
                    if answer.is_some() {
                        slot.succeeded()
                    } else {
                        slot.throttled(Overload::Table)
                    }
                    answer.is_some()
                });
            }
            again += usize::from(sent.next().await == Some(false));
        }
        left = again;
        if left > 0 {
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(Duration::from_secs(2));
        }
    }
}

/// Flushes of so many writes, one after the other, for so long.
async fn flushes(limiter: &Limiter, table: &RefCell<Table>, writes: usize, long: Duration) {
    let end = Instant::now() + long;
    while Instant::now() < end {
        let _ = tokio::time::timeout_at(end, flush(limiter, table, writes)).await;
    }
}

const MINUTE: Duration = Duration::from_secs(60);

#[tokio::test(start_paused = true)]
async fn a_table_that_is_too_small_is_used_up_and_few_requests_are_refused() {
    for (capacity, writes) in [(20.0, 40), (50.0, 40), (50.0, 200), (300.0, 200), (1_000.0, 200), (50.0, 5_000)] {
        let (limiter, table) = (Limiter::new(64), Table::new(capacity));
        flushes(&limiter, &table, writes, MINUTE).await;
        let (taken, refused) = (table.borrow().taken as f64, table.borrow().refused as f64);
        let of = format!("{capacity} a second, {writes} in a flush: {taken} taken, {refused} refused");
        assert!(taken >= 0.95 * capacity * MINUTE.as_secs_f64(), "{of}");
        // Beside those that were under way when it was first too much.
        assert!(refused - 64.0 <= 0.15 * taken && refused > 0.0, "{of}");
    }
}

#[tokio::test(start_paused = true)]
async fn refusals_that_do_not_follow_the_rate_do_not_slow_it_down() {
    // The more are refused, the longer until it is known what comes of it.
    for (moody, writes, seconds) in [
        (5, 200, 20),
        (15, 200, 30),
        (20, 200, 30),
        (30, 40, 60),
        (30, 200, 60),
        (60, 200, 600),
        (90, 200, 6_000),
        (90, 40, 6_000),
    ] {
        let long = Duration::from_secs(seconds);
        let mut taken = Vec::new();
        for limited in [false, true] {
            let (limiter, table) = (Limiter::new(64), Table::new(1e9));
            table.borrow_mut().moody = moody;
            if !limited {
                lock(&limiter.gate("t").rate).free_until = Instant::now() + long;
            }
            flushes(&limiter, &table, writes, long).await;
            taken.push(table.borrow().taken as f64);
        }
        let of = format!("{moody} of a hundred refused: {} taken, and {} without any limit", taken[1], taken[0]);
        assert!(taken[1] >= 0.8 * taken[0], "{of}");
    }
}

#[tokio::test(start_paused = true)]
async fn at_full_speed_again_within_seconds_when_the_table_takes_everything() {
    for (capacity, moody) in [(0.0, 0), (5.0, 0), (50.0, 0), (500.0, 0), (1e9, 30), (1e9, 60), (1e9, 100)] {
        let (limiter, table) = (Limiter::new(64), Table::new(capacity));
        table.borrow_mut().moody = moody;
        flushes(&limiter, &table, 200, Duration::from_secs(30)).await;
        (table.borrow_mut().units, table.borrow_mut().moody) = (1e9, 0);
        flushes(&limiter, &table, 200, Duration::from_secs(6)).await;
        let before = table.borrow().taken;
        flushes(&limiter, &table, 200, Duration::from_secs(1)).await;
        let second = (table.borrow().taken - before) as f64;
        assert!(second > 0.85 * WRITES, "{second} in a second, after {capacity} and {moody}");
    }
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_for_a_table_that_refuses_nothing() {
    let (limiter, table) = (Limiter::new(64), Table::new(1e9));
    let began = Instant::now();
    flush(&limiter, &table, 8_000).await;
    let least = 8_000.0 / WRITES;
    assert!(began.elapsed().as_secs_f64() < least + 0.1, "{:?}, and the table needs {least} s", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn what_is_too_much_for_a_table_slows_down_that_table_alone_and_a_key_none() {
    let limiter = Limiter::new(64);
    let rate = |table: &str| lock(&limiter.gate(table).rate).limit();
    for _ in 0..FELT {
        limiter.enter("a", 1).await.throttled(Overload::Key);
        limiter.throttled(Overload::Table);
    }
    assert_eq!(rate("a"), None);
    for _ in 0..FELT {
        limiter.enter("a", 1).await.throttled(Overload::Table);
    }
    assert_eq!((rate("a"), rate("b")), (Some(LEAST), None));
    tokio::time::advance(FORGOTTEN).await;
    assert_eq!(rate("a"), None);
    limiter.enter("a", 1).await.throttled(Overload::Table);
    assert_eq!(rate("a"), None, "it takes as many to begin again");
}
