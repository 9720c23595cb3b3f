//! What redb's tables are called.

use redb::TableDefinition;

use crate::source::Shelf;
use crate::store::Table;

/// Rows to items, and instants with rows to nothing.
pub(in crate::store::embedded) type Rows<'a, V> = TableDefinition<'a, &'static [u8], V>;

/// Names of the redb tables of a table of tiles.
pub(in crate::store::embedded) struct Names {
    tiles: String,
    expiry: String,
}

impl Names {
    pub(in crate::store::embedded) fn of(table: &Table) -> Self {
        Self { tiles: format!("tiles/{}", table.as_str()), expiry: format!("expiry/{}", table.as_str()) }
    }

    pub(in crate::store::embedded) fn tiles(&self) -> Rows<'_, &'static [u8]> {
        TableDefinition::new(&self.tiles)
    }

    pub(in crate::store::embedded) fn expiry(&self) -> Rows<'_, ()> {
        TableDefinition::new(&self.expiry)
    }
}

/// Name of the redb table of the records of a shelf.
pub(in crate::store::embedded) struct ShelfName(String);

impl ShelfName {
    pub(in crate::store::embedded) fn of(shelf: &Shelf) -> Self {
        Self(match shelf {
            Shelf::Table(table) => format!("records/{table}"),
            Shelf::Sources => "sources".to_owned(),
        })
    }

    pub(in crate::store::embedded) fn records(&self) -> TableDefinition<'_, &'static str, &'static [u8]> {
        TableDefinition::new(&self.0)
    }
}
