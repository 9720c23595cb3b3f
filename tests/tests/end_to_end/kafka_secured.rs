//! A broker that wants TLS, certificates, passwords or several of these, and the settings by which a user gives them.

use murmur::ErrorKind;
use murmur::source::kafka::{self, KafkaConfig};
use murmur_tests::kafka::Cluster;
use murmur_tests::kafka_secured::{SecuredKafka, USER};

use crate::source_kafka::{Running, count, counts, memory, words};

fn config(brokers: &str, topic: &str, options: &str) -> KafkaConfig {
    let group = Cluster::name("secured");
    let mut config = KafkaConfig::parse(&format!("kafka://{brokers}/{topic}?group={group}{options}")).unwrap();
    config.until_end = true;
    config
}

/// How a certificate is given, by the names of files.
fn certified(broker: &SecuredKafka, certificate: &str, key: &str) -> String {
    format!(
        "&librdkafka.security.protocol=SSL&librdkafka.ssl.ca.location={}\
         &librdkafka.ssl.certificate.location={}&librdkafka.ssl.key.location={}",
        broker.file("ca.pem"),
        broker.file(certificate),
        broker.file(key)
    )
}

fn sasl(broker: &SecuredKafka, protocol: &str, mechanism: &str, password: &str) -> String {
    format!(
        "&librdkafka.security.protocol={protocol}&librdkafka.sasl.mechanism={mechanism}\
         &librdkafka.sasl.username={USER}&sasl.password_file={}",
        broker.file(password)
    )
}

#[tokio::test]
async fn topics_are_read_by_tls_certificates_and_passwords_and_what_is_wrong_with_them_is_said() {
    let broker = SecuredKafka::start();
    let topic = broker.open.topic("secured", 2).await;
    broker.open.send(&topic, 2, words(0..400));
    let authority = |name: &str| format!("&librdkafka.ssl.ca.location={}", broker.file(name));
    let tls = |name: &str| format!("&librdkafka.security.protocol=SSL{}", authority(name));
    let opens = |name: &str| format!("&ssl.key.password_file={}", broker.file(name));
    for (brokers, options) in [
        (&broker.tls, tls("ca.pem")),
        (&broker.known, certified(&broker, "client.crt", "client.key")),
        (&broker.known, certified(&broker, "client.crt", "client.locked") + &opens("password")),
        (&broker.sasl, sasl(&broker, "SASL_PLAINTEXT", "PLAIN", "password")),
        (&broker.sasl, sasl(&broker, "SASL_PLAINTEXT", "SCRAM-SHA-256", "password")),
        (&broker.both, sasl(&broker, "SASL_SSL", "SCRAM-SHA-512", "password") + &authority("ca.pem")),
    ] {
        let store = memory();
        let summary = Running::start(&store, config(brokers, &topic, &options), ()).wait().unwrap();
        assert!(summary.ended, "{options}");
        assert_eq!(counts(&*store).await, count(words(0..400)), "{options}");
    }

    let password = ["sasl.password_file", "MURMUR_KAFKA_SASL_PASSWORD", "librdkafka.sasl.username"];
    let authorities = ["librdkafka.ssl.ca.location", "certificate verify failed"];
    let certificate = ["librdkafka.ssl.certificate.location", "librdkafka.ssl.key.location", "alert"];
    let wrong = [
        (&broker.known, tls("ca.pem"), &certificate[..]),
        (&broker.known, certified(&broker, "stranger.crt", "stranger.key"), &certificate),
        (&broker.sasl, sasl(&broker, "SASL_PLAINTEXT", "PLAIN", "wrong"), &password),
        (&broker.sasl, sasl(&broker, "SASL_PLAINTEXT", "SCRAM-SHA-512", "wrong"), &password),
        (&broker.both, sasl(&broker, "SASL_SSL", "PLAIN", "wrong") + &authority("ca.pem"), &password),
        (&broker.tls, tls("other.pem"), &authorities),
        (&broker.both, sasl(&broker, "SASL_SSL", "PLAIN", "password") + &authority("other.pem"), &authorities),
    ];
    let running = wrong.map(|(brokers, options, says)| {
        let running = Running::start(&memory(), config(brokers, &topic, &options), ());
        (running, options, says)
    });
    for (running, options, says) in running {
        let error = running.wait().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Configuration, "{options}: {error}");
        for part in says {
            assert!(error.to_string().contains(part), "{options}: `{part}` is missing in: {error}");
        }
        assert!(!error.to_string().contains("off with her head"), "{error}");
    }

    // What cannot be used at all is said before anything is sent.
    for (options, says) in [
        (certified(&broker, "nobody.crt", "client.key"), "ssl.certificate.location"),
        (certified(&broker, "client.crt", "nobody.key"), "ssl.key.location"),
        (
            certified(&broker, "client.crt", "stranger.key"),
            "has to be the key of `librdkafka.ssl.certificate.location`",
        ),
        (certified(&broker, "client.crt", "client.locked"), "`ssl.key.password_file`"),
        (certified(&broker, "client.crt", "client.locked") + &opens("wrong"), "`ssl.key.password_file`"),
    ] {
        let error = kafka::open(config(&broker.known, &topic, &options)).err().unwrap();
        assert_eq!(error.kind(), ErrorKind::Configuration, "{options}: {error}");
        assert!(error.to_string().contains(says), "{options}: `{says}` is missing in: {error}");
    }
}
