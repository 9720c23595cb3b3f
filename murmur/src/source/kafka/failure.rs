use rdkafka::types::RDKafkaErrorCode as Code;

use crate::{Error, ErrorKind};

/// Why a group does not want a member as it is, now and later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Exclusion {
    /// Its name is another one's by now.
    Fenced,
    /// It cannot agree with the others on who reads what.
    Protocol,
    SessionTimeout,
    Unauthorized,
    Other,
}

/// What librdkafka or a broker refused, with its code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::source) struct Failure {
    pub(super) code: Code,
    text: String,
}

impl Failure {
    pub(in crate::source) fn new(code: Code, text: String) -> Self {
        Self { code, text }
    }

    /// Say in front of the text what was being done.
    #[must_use]
    pub(in crate::source) fn while_doing(mut self, what: impl std::fmt::Display) -> Self {
        self.text = if self.text.is_empty() { what.to_string() } else { format!("{what}: {}", self.text) };
        self
    }

    /// The same as what is wrong with the settings, where it is that and not a connection that broke off.
    pub(in crate::source) fn refusal(mut self) -> Option<Self> {
        let check = match self.code {
            Code::Authentication => {
                "the brokers do not let us in; check `librdkafka.sasl.mechanism`, `librdkafka.sasl.username` and the \
                 password (the file of `sasl.password_file`, or MURMUR_KAFKA_SASL_PASSWORD)"
            }
            Code::SSL | Code::BrokerTransportFailure if self.is_alert() => {
                self.code = Code::SSL;
                "the brokers want a certificate from us that they trust; check `librdkafka.ssl.certificate.location` and \
                 `librdkafka.ssl.key.location`, and whether an authority of theirs has signed it"
            }
            Code::SSL if self.text.contains("certificate") => {
                "TLS does not come about; check `librdkafka.ssl.ca.location`, which has to hold the authority that has \
                 signed the certificates of the brokers, and the names that they are reached by"
            }
            _ => return None,
        };
        Some(self.while_doing(check))
    }

    /// Whether the other side has ended TLS because of our certificate, or as there was none. Since TLS 1.3 that comes when
    /// the connection stands on our side.
    fn is_alert(&self) -> bool {
        // As OpenSSL names what stands in RFC 8446, 6.2.
        self.text.contains(" alert ")
            && ["certificate", "unknown ca", "handshake failure"].iter().any(|what| self.text.contains(what))
    }

    /// Say which feature is missing, where a property needs one, and what belongs to a key that cannot be used.
    #[must_use]
    pub(super) fn with_way_out(mut self) -> Self {
        let way_out = if self.text.contains("ssl.key.location failed") {
            "; it has to be the key of `librdkafka.ssl.certificate.location`, and what opens it stands in the file of \
             `ssl.key.password_file`, or in MURMUR_KAFKA_SSL_KEY_PASSWORD"
        } else if self.text.to_ascii_lowercase().contains("openssl") {
            "; build with the feature `kafka-ssl`"
        } else {
            ""
        };
        self.text.push_str(way_out);
        self
    }

    /// Whether the log has no message at the offset asked for.
    pub(super) fn is_out_of_range(&self) -> bool {
        matches!(self.code, Code::AutoOffsetReset | Code::OffsetOutOfRange | Code::LogTruncation)
    }

    /// Whether it says only that there is nothing more now.
    pub(super) fn is_end_of_log(&self) -> bool {
        self.code == Code::PartitionEOF
    }

    /// Whether the client is of no use any more; what has happened stands [elsewhere](super::queue::Consumer::fatal).
    pub(super) fn is_fatal(&self) -> bool {
        self.code == Code::Fatal
    }

    /// Where it is about a group: why that is final. What is wrong with a connection is not, as credentials may be in
    /// the middle of a change.
    pub(super) fn exclusion(&self) -> Option<Exclusion> {
        Some(match self.code {
            Code::Fenced | Code::FencedInstanceId => Exclusion::Fenced,
            Code::InconsistentGroupProtocol => Exclusion::Protocol,
            Code::InvalidSessionTimeout => Exclusion::SessionTimeout,
            Code::GroupAuthorizationFailed => Exclusion::Unauthorized,
            Code::InvalidGroupId | Code::Fatal => Exclusion::Other,
            _ => return None,
        })
    }

    /// Whether the topic is not there; it may have been deleted, and then the group will say so.
    pub(in crate::source) fn is_missing_topic(&self) -> bool {
        self.kind() == ErrorKind::NotFound
    }

    fn kind(&self) -> ErrorKind {
        match self.code {
            Code::UnknownTopicOrPartition | Code::UnknownTopic | Code::UnknownPartition | Code::UnknownTopicId => {
                ErrorKind::NotFound
            }
            Code::InvalidConfig
            | Code::InvalidTopic
            | Code::InvalidGroupId
            | Code::InvalidSessionTimeout
            | Code::InconsistentGroupProtocol
            | Code::UnsupportedFeature
            | Code::NotImplemented
            | Code::UnsupportedCompressionType
            | Code::Authentication
            | Code::SaslAuthenticationFailed
            | Code::UnsupportedSASLMechanism
            | Code::SSL => ErrorKind::Configuration,
            Code::TopicAuthorizationFailed | Code::GroupAuthorizationFailed | Code::ClusterAuthorizationFailed => {
                ErrorKind::Denied
            }
            Code::OffsetOutOfRange | Code::AutoOffsetReset | Code::LogTruncation => ErrorKind::OutOfRange,
            Code::BadMessage | Code::BadCompression | Code::InvalidMessage | Code::InvalidMessageSize => {
                ErrorKind::Corrupt
            }
            Code::Fenced | Code::FencedInstanceId => ErrorKind::Conflict,
            _ if self.is_passing() => ErrorKind::Unavailable,
            _ => ErrorKind::Io,
        }
    }

    /// Whether no broker has answered at all.
    pub(super) fn is_unanswered(&self) -> bool {
        matches!(
            self.code,
            Code::BrokerTransportFailure
                | Code::AllBrokersDown
                | Code::Resolve
                | Code::OperationTimedOut
                | Code::TimedOutQueue
                | Code::WaitingForCoordinator
        )
    }

    /// Whether it goes away by itself: brokers that restart, leaders and coordinators that move, requests that time
    /// out, a group that rebalances.
    pub(in crate::source) fn is_passing(&self) -> bool {
        matches!(
            self.code,
            Code::BrokerTransportFailure
                | Code::AllBrokersDown
                | Code::BrokerDestroy
                // The cluster does not list the broker any more that was to be asked: others lead by then.
                | Code::DestroyBroker
                | Code::Resolve
                | Code::OperationTimedOut
                | Code::TimedOutQueue
                | Code::RequestTimedOut
                | Code::WaitingForCoordinator
                | Code::CoordinatorLoadInProgress
                | Code::CoordinatorNotAvailable
                | Code::NotCoordinator
                | Code::LeaderNotAvailable
                | Code::NotLeaderForPartition
                | Code::BrokerNotAvailable
                | Code::ReplicaNotAvailable
                | Code::NetworkException
                | Code::KafkaStorageError
                | Code::UnstableOffsetCommit
                | Code::RebalanceInProgress
                | Code::InProgress
                | Code::PreviousInProgress
                | Code::State
                | Code::Retry
                | Code::Outdated
                | Code::WaitCache
                | Code::FencedLeaderEpoch
                | Code::UnknownLeaderEpoch
                | Code::OffsetNotAvailable
                | Code::NotEnoughReplicas
                | Code::PollExceeded
        )
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        let Failure { code, text } = &failure;
        let context = if text.is_empty() { format!("kafka: {code}") } else { format!("kafka: {text} ({code:?})") };
        Self::new(failure.kind(), context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_a_matter_of_settings_and_a_connection_that_breaks_off_is_not() {
        let refused = |code, text: &str| Failure::new(code, text.to_owned()).refusal().map(Error::from);
        let error = refused(Code::SSL, "certificate verify failed").unwrap();
        assert_eq!(error.kind(), ErrorKind::Configuration);
        assert!(error.to_string().contains("librdkafka.ssl.ca.location"), "{error}");
        assert!(refused(Code::SSL, "SSL transport error: Connection reset by peer").is_none());
        assert!(refused(Code::BrokerTransportFailure, "certificate").is_none());
        assert!(refused(Code::BrokerTransportFailure, "Receive failed: Connection reset by peer").is_none());
        for alert in ["tlsv13 alert certificate required", "tlsv1 alert unknown ca", "sslv3 alert certificate unknown"]
        {
            for code in [Code::SSL, Code::BrokerTransportFailure] {
                let error =
                    refused(code, &format!("error:0A00045C:SSL routines::{alert}: SSL alert number 116")).unwrap();
                assert_eq!(error.kind(), ErrorKind::Configuration);
                assert!(error.to_string().contains("librdkafka.ssl.certificate.location"), "{error}");
            }
        }
    }

    #[test]
    fn what_a_group_says_ends_a_member_only_where_waiting_does_not_help() {
        let exclusion = |code| Failure::new(code, String::new()).exclusion();
        assert_eq!(exclusion(Code::GroupAuthorizationFailed), Some(Exclusion::Unauthorized));
        assert_eq!(exclusion(Code::FencedInstanceId), Some(Exclusion::Fenced));
        for passing in [Code::RebalanceInProgress, Code::PollExceeded, Code::Authentication, Code::GroupMaxSizeReached]
        {
            assert_eq!(exclusion(passing), None, "{passing:?}");
        }
        let denied = Error::from(Failure::new(Code::GroupAuthorizationFailed, String::new()));
        assert_eq!((denied.kind(), denied.is_retryable()), (ErrorKind::Denied, false));
    }

    /// `DestroyBroker` is what waits for a broker gets when that one has been away for so long that the cluster forgets it.
    #[test]
    fn a_broker_that_is_away_ends_nobody() {
        for code in [
            Code::BrokerTransportFailure,
            Code::AllBrokersDown,
            Code::DestroyBroker,
            Code::OperationTimedOut,
            Code::Resolve,
        ] {
            let failure = Failure::new(code, "cannot read the range of offsets".to_owned());
            assert!(failure.is_passing(), "{code:?}");
            assert_eq!(failure.is_unanswered(), code != Code::DestroyBroker, "{code:?}: others answer then");
            assert!(Error::from(failure).is_retryable(), "{code:?}");
        }
    }

    #[test]
    fn what_this_build_cannot_do_names_the_feature() {
        let failure = Failure::new(Code::InvalidConfig, "OpenSSL not available at build time".to_owned());
        assert!(Error::from(failure.with_way_out()).to_string().contains("`kafka-ssl`"));
    }
}
