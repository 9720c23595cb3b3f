/// Something that [`TopK`](super::TopK) ranks: texts, references to them, and `Option` of either.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be ranked by `TopK`",
    label = "not a text",
    note = "items are `&str`, `&String` and `Option` of them; write numbers as text: `TopK::of(number.to_string())`"
)]
pub trait Item {
    /// The text; `None` when there is no item.
    fn item(&self) -> Option<&str>;
}

impl Item for str {
    fn item(&self) -> Option<&str> {
        Some(self)
    }
}

impl Item for String {
    fn item(&self) -> Option<&str> {
        Some(self)
    }
}

impl<I: Item + ?Sized> Item for &I {
    fn item(&self) -> Option<&str> {
        (**self).item()
    }
}

impl<I: Item> Item for Option<I> {
    fn item(&self) -> Option<&str> {
        self.as_ref()?.item()
    }
}
