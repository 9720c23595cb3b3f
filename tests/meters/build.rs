fn main() {
    murmur_build::run()
}
