//! The tiles that rolling writes, of the pages that are visited now and then: as a reader would write them, but many pages in one call
//! of the store. One page after the other takes a hundred times as long.

use std::collections::BTreeMap;
use std::sync::Arc;

use murmur::prelude::*;
use murmur::store::{Column, Number, Outcome, Store, Table, TileId, Write};
use murmur::time::{Level, Slot, Tile, Tiling, TimeRange};

use super::pages::{PageWindow, Pages, Stays, Visited};
use super::{Result, text};

/// Tiles of one call.
const AT_ONCE: usize = 20_000;

/// Write them all.
pub(super) async fn write(store: &Arc<dyn Store>, pages: &Pages) -> Result<()> {
    let (table, tiling) = (Table::new(PageWindow::SPEC.name, 1), PageWindow::tiling());
    let mut tiles = pages.seldom().flat_map(|page| {
        let key: Arc<str> = format!("={}", Pages::name(page)).into();
        tiling.parents().iter().flat_map(move |level| of_level(pages, page, &key, &tiling, *level)).collect::<Vec<_>>()
    });
    loop {
        let writes: Vec<Write> = tiles.by_ref().take(AT_ONCE).collect();
        if writes.is_empty() {
            return Ok(());
        }
        for outcome in store.write(&table, writes.into()).await {
            if outcome.map_err(text)? != Outcome::Applied {
                return Err("a tile was not rolled".to_owned());
            }
        }
    }
}

/// Those of one page and level in which there are visits.
fn of_level(pages: &Pages, page: u32, key: &Arc<str>, tiling: &Tiling, level: Level) -> Vec<Write> {
    let TimeRange { start, end } = pages.finished();
    let slots = TimeRange::new(tiling.ceil_unit(level, start), tiling.floor_unit(level, end));
    let mut tiles: BTreeMap<Timestamp, BTreeMap<Slot, Stays>> = BTreeMap::new();
    for (at, millis) in pages.visits(page).into_iter().filter(|(at, _)| slots.contains(*at)) {
        let tile = tiling.tile_of(level, at);
        let values = tiles.entry(tile.start).or_default();
        let value = values.entry(tiling.slot_in(tile, at)).or_insert_with(Stays::identity);
        value.combine(Visited { visits: 1, millis: millis.into() }.stays());
    }
    let write = |(start, values): (Timestamp, BTreeMap<Slot, Stays>)| {
        let tile = Tile { level, start };
        let mut numbers: Vec<((Slot, Column), Number)> = Vec::new();
        for (slot, value) in values {
            value.numbers(0, &mut |column, number| numbers.push(((slot, column), number)));
        }
        let id = TileId { key: key.clone(), tile, part: None };
        let expires = tiling.expiry(tile, &PageWindow::SPEC.window);
        Write::Roll { id, slots: finished(tiling, tile, slots), numbers, values: Vec::new(), expires }
    };
    tiles.into_iter().map(write).collect()
}

/// The slots of a tile that lie in a range, those without visits too.
fn finished(tiling: &Tiling, tile: Tile, range: TimeRange) -> Vec<Slot> {
    let (mut at, end) = (tile.start.max(range.start), tiling.tile_range(tile).end.min(range.end));
    let mut slots = Vec::new();
    while at < end {
        let slot = tiling.slot_in(tile, at);
        slots.push(slot);
        at = tiling.slot_range(tile, slot).end;
    }
    slots
}

#[cfg(test)]
mod tests {
    use murmur::query::Reader;
    use murmur::store::MemoryStore;

    use super::super::pages::{Counts, PageWindowKey};
    use super::super::server;
    use super::*;

    #[tokio::test]
    async fn what_is_written_for_readers_is_what_they_would_have_rolled() {
        let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
        let counts = Counts { totals: 0, busy: 1, seldom: 30 };
        let pages = Pages::new(counts, "2026-05-12T10:17:31Z".parse().unwrap());
        server::fill(&store, &pages).await.unwrap();
        let table = Table::new(PageWindow::SPEC.name, 1);
        let before = store.scan(&table, None, usize::MAX).await.unwrap();
        let count = |level| before.iter().filter(|(id, _)| id.tile.level == level).count();
        assert!(PageWindow::tiling().parents().iter().all(|level| count(*level) >= 30));
        let reader = Reader::<PageWindow>::new(store.clone(), 1);
        for page in pages.seldom() {
            let key = PageWindowKey { page: Pages::name(page) };
            assert!(reader.roll(&key, pages.finished()).await.unwrap() > 0);
        }
        assert_eq!(store.scan(&table, None, usize::MAX).await.unwrap(), before);
    }
}
