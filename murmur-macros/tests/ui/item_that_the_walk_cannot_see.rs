macro_rules! events {
    ($($name:ident)*) => {$(
        #[murmur::event]
        pub struct $name {
            pub page_id: String,
        }
    )*};
}

events!(PageView);
