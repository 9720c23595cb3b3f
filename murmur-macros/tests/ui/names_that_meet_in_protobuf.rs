#[murmur::value]
pub enum Page {
    ViewSeen,
}

#[murmur::value]
pub enum PageView {
    Seen,
}

#[murmur::value]
pub enum Level {
    DB,
    Db,
    Unspecified,
}
