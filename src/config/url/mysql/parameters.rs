//! The parameters of Connector/J (5 to 9), MariaDB Connector/J (2 and 3) and native clients in one
//! vocabulary, Connector/J's where it has a word (`connector-config.md`, 12.3). Names are taken in any case,
//! with or without `-` and `_`. What the dialect reads in the end, each optional:
//!
//! - `sslMode`: DISABLED, PREFERRED, REQUIRED, VERIFY_CA, VERIFY_IDENTITY
//! - `sslCa`, `sslCert`, `sslKey`: files of certificates and key (these two may be one)
//! - `trustStore`, `keyStore`: the same in one file each, in place of those
//! - `trustStorePassword`, `keyStorePassword`: what opens them, or the key
//! - `allowPublicKeyRetrieval`, `tinyInt1isBit`, `transformedBitIsBoolean`, `yearIsDateType`,
//!   `blobsAreStrings`, `functionsNeverReturnBlobs`, `nullDatabaseMeansCurrent`: true, false
//! - `zeroDateTimeBehavior`: EXCEPTION, CONVERT_TO_NULL, ROUND
//! - `sessionVariables`: as written; `sessionZone`: a value of `time_zone`
//! - `connectionCollation`: a collation, kept if it is one of utf8mb4; `socket`: the path of a Unix socket

use std::time::Duration;

use percent_encoding::percent_decode_str;

use super::super::Meaning;
use super::Driver;

/// Names with a meaning of their own, below or in `settle.rs`.
const SPECIAL: &[&str] = &[
    "user",
    "password",
    "connectTimeout",
    "socketTimeout",
    "sslMode",
    "sslCa",
    "sslCert",
    "sslKey",
    "trustStore",
    "trustStoreType",
    "trustStorePassword",
    "keyStore",
    "keyStoreType",
    "keyStorePassword",
    "keyPassword",
    "zeroDateTimeBehavior",
    "sessionVariables",
    "connectionTimeZone",
    "timezone",
    "connectionCollation",
    "socket",
    "databaseTerm",
    "defaultAuthenticationPlugin",
    "socketFactory",
    "maxRows",
];

/// True or false.
const FLAGS: &[&str] = &[
    "allowPublicKeyRetrieval",
    "blobsAreStrings",
    "disableSslHostnameVerification",
    "forceConnectionTimeZoneToSession",
    "functionsNeverReturnBlobs",
    "nullDatabaseMeansCurrent",
    "requireSSL",
    "tinyInt1isBit",
    "transformedBitIsBoolean",
    "trustServerCertificate",
    "useSSL",
    "verifyServerCertificate",
    "yearIsDateType",
];

/// Other names of the same parameters.
const ALIASES: &[(&str, &str)] = &[
    ("clientCertificateKeyStorePassword", "keyStorePassword"),
    ("clientCertificateKeyStoreType", "keyStoreType"),
    ("clientCertificateKeyStoreUrl", "keyStore"),
    ("collation", "connectionCollation"),
    ("localSocket", "socket"),
    ("nullCatalogMeansCurrent", "nullDatabaseMeansCurrent"),
    ("password1", "password"),
    ("serverSslCert", "sslCa"),
    ("serverTimezone", "connectionTimeZone"),
    ("trustCertificateKeyStorePassword", "trustStorePassword"),
    ("trustCertificateKeyStoreType", "trustStoreType"),
    ("trustCertificateKeyStoreUrl", "trustStore"),
    ("useCatalogTerm", "databaseTerm"),
];

const PLUGIN: &str = "classes of the Java driver cannot be loaded; log in with user and password";
const CLASS: &str = "a Java class cannot be loaded; remove it";
const MACHINE: &str = "is a way to connect on Windows; use host and port, or `socket` for a Unix socket";
const PROXY: &str = "connections through a SOCKS proxy are not there; give the address of a tunnel as host";

/// Parameters that cannot be honoured.
const REFUSED: &[(&str, &str)] = &[
    ("authenticationFidoCallbackHandler", PLUGIN),
    ("authenticationOpenidConnectCallbackHandler", PLUGIN),
    ("authenticationPlugins", PLUGIN),
    ("authenticationWebAuthnCallbackHandler", PLUGIN),
    ("clientInfoProvider", CLASS),
    ("cloudSqlInstance", "give the address of the Cloud SQL Auth Proxy as host"),
    ("connectionLifecycleInterceptors", CLASS),
    ("credentialType", PLUGIN),
    ("customCharsetMapping", "text is read as utf8mb4; remove it"),
    ("disabledAuthenticationPlugins", "plugins cannot be chosen; limit those of the account on the server"),
    ("exceptionInterceptors", CLASS),
    ("idTokenFile", PLUGIN),
    ("initSql", "statements at the start are not run; write variables in sessionVariables"),
    ("ldapServerHostname", PLUGIN),
    ("namedPipePath", MACHINE),
    ("ociConfigFile", PLUGIN),
    ("ociConfigProfile", PLUGIN),
    ("password2", "logging in with several factors is not there"),
    ("password3", "logging in with several factors is not there"),
    ("pipe", MACHINE),
    ("propertiesTransform", CLASS),
    ("queryInterceptors", CLASS),
    ("restrictedAuth", "plugins cannot be chosen; limit those of the account on the server"),
    ("serverRSAPublicKeyFile", "the server's key is not read from a file; use TLS or allowPublicKeyRetrieval=true"),
    ("servicePrincipalName", PLUGIN),
    ("sharedMemory", MACHINE),
    ("socksProxyHost", PROXY),
    ("socksProxyPort", PROXY),
    ("socksProxyRemoteDns", PROXY),
    ("statementInterceptors", CLASS),
    ("transactionIsolation", "use the key transaction.isolation.mode"),
    ("useConfigs", "sets of parameters are not there; write those that matter one by one"),
];

/// Parameters that cannot be honoured if they are true, and change nothing otherwise.
const REFUSED_IF_TRUE: &[(&str, &str)] = &[
    ("dnsSrv", "service records are not looked up; name hosts and ports"),
    ("emulateLocators", "columns are read as they are; remove it"),
    ("padCharsWithSpace", "use sessionVariables=sql_mode=PAD_CHAR_TO_FULL_LENGTH"),
    ("useBlobToStoreUTF8OutsideBMP", "text is read as utf8mb4; remove it"),
];

/// Parameters that only steer a Java driver, or has no effect on this connector in the reference either.
const IGNORED: &str = "\
    allowLoadLocalInfile allowLoadLocalInfileInPath allowLocalInfile allowMasterDownConnection \
    allowMasterDownConnections allowMultiQueries allowNanAndInf allowReplicaDownConnections \
    allowSlaveDownConnections allowSourceDownConnections allowUrlInLocalInfile alwaysSendSetIsolation \
    ApplicationName assureReadOnly autoClosePStmtStreams autocommit autoDeserialize autoGenerateTestcaseScript \
    autoReconnect autoReconnectForPools autoSlowLog blankTableNameMeta blobSendChunkSize cacheCallableStatements \
    cacheCallableStmts cacheDefaultTimeZone cachePrepStmts cachePreparedStatements cacheResultSetMetadata \
    cacheServerConfiguration callableStatementCacheSize callableStmtCacheSize capitalizeTypeNames characterEncoding \
    characterSetResults charset clobberStreamingResults clobCharacterEncoding compensateOnDuplicateKeyUpdateCounts \
    connectionAttributes continueBatchOnError createDatabaseIfNotExist defaultFetchSize detectCustomCollations \
    disablePipeline disconnectOnExpiredPasswords dontCheckOnDuplicateKeyUpdateInSQL dontTrackOpenResources \
    dumpMetadataOnColumnNotFound dumpQueriesOnException dynamicCalendars elideSetAutoCommits \
    emptyStringsConvertToZero emulateUnsupportedPstmts enabledSSLCipherSuites enabledSslProtocolSuites \
    enabledTLSProtocols enableEscapeProcessing enablePacketDebug enableQueryTimeouts enableRedirect \
    explainSlowQueries failOnReadOnly failoverLoopRetries failOverReadOnly fallbackToSystemKeyStore \
    fallbackToSystemTrustStore galeraAllowedState gatherPerfMetrics generateSimpleParameterMetadata \
    geometryDefaultType getProceduresReturnsFunctions holdResultsOpenOverStatementClose ignoreNonTxTables \
    includeInnodbStatusInDeadlockExceptions includeThreadDumpInDeadlockExceptions \
    includeThreadNamesAsStatementComment initialTimeout interactiveClient isInteractiveClient \
    jdbcCompliantTruncation jdbcCompliantTruncationForReads largeRowSizeThreshold localSocketAddress \
    locatorFetchBufferSize log logger logSlowQueries logXaCommands maintainTimeStats maxAllowedPacket maxIdleTime \
    maximizeMysqlCompatibility maxPoolSize maxQuerySizeToLog maxReconnects metadataCacheSize minPoolSize \
    netTimeoutForStreamingResults noAccessToProcedureBodies noDatetimeStringSync noTimezoneConversionForDateType \
    noTimezoneConversionForTimeType oldModeNoPrecisionTimestamp overrideSupportsIntegrityEnhancementFacility \
    packetDebugBufferSize paranoid parseInfoCacheFactory passwordCharacterEncoding pedantic permitMysqlScheme \
    permitNoResults permitRedirect pinGlobalTxToPhysicalConnection pool poolName poolValidMinDelay \
    populateInsertRowWithDefaultValues preparedStatementCacheSize preparedStatementCacheSqlLimit prepStmtCacheSize \
    prepStmtCacheSqlLimit preserveInstants processEscapeCodesForPrepStmts profilerEventHandler profileSQL \
    queriesBeforeRetryMaster queriesBeforeRetrySource queryInfoCacheFactory queryTimeoutKillsConnection \
    readFromMasterWhenNoSlaves readFromSourceWhenNoReplicas readOnlyPropagatesToServer reconnectAtTxEnd \
    registerJmxPool relaxAutoCommit replicationConnectionGroup replicationEnableJMX reportMetricsIntervalMillis \
    resourceId resultSetSizeThreshold retainStatementAfterResultSetClose retriesAllDown \
    returnMultiValuesGeneratedIds rewriteBatchedStatements rollbackOnPooledClose roundRobinLoadBalance runningCTS13 \
    scrollTolerantForwardOnly secondsBeforeRetryMaster secondsBeforeRetrySource selfDestructOnPingMaxOperations \
    selfDestructOnPingSecondsLifetime sendFractionalSeconds sendFractionalSecondsForTime serverAffinityOrder \
    serverConfigCacheFactory slowQueryThresholdMillis slowQueryThresholdNanos statementCacheCapacity staticGlobal \
    strictFloatingPoint strictUpdates tcpAbortiveClose tcpKeepAlive tcpKeepCount tcpKeepIdle tcpKeepInterval \
    tcpNoDelay tcpRcvBuf tcpSndBuf tcpTrafficClass tlsCiphersuites tlsSocketType tlsVersions traceProtocol \
    trackSchema trackSessionState transactionReplay transactionReplaySize treatUtilDateAsTimestamp ultraDevHack \
    useAffectedRows useBatchMultiSend useBatchMultiSendNumber useBulkStmts useBulkStmtsForInserts \
    useColumnNamesInFindColumn useCompression useCursorFetch useDirectRowUnpack useDynamicCharsetInfo \
    useFastDateParsing useFastIntParsing useFractionalSeconds useGmtMillisForDatetimes useHostsInPrivileges \
    useInformationSchema useJDBCCompliantTimezoneShift useJvmCharsetConverters useLegacyDatetimeCode \
    useLocalSessionState useLocalTransactionState useMysqlMetadata useNanosForElapsedTime \
    useOldAliasMetadataBehavior useOldUTF8Behavior useOnlyServerErrorMessages usePipelineAuth useReadAheadInput \
    useResetConnection useServerPrepStmts useSqlStateCodes useSSPSCompatibleTimezoneShift \
    useStreamLengthsInPrepStmts useTimezone useUltraDevWorkAround useUnbufferedInput useUnicode useUsageAdvisor \
    utf8OutsideBmpExcludedColumnNamePattern utf8OutsideBmpIncludedColumnNamePattern uuidAsString \
    validConnectionTimeout";

/// Beginnings of families that steer a Java driver.
const IGNORED_FAMILIES: &[&str] = &["loadbalance", "ha.", "haenablejmx", "haloadbalance", "xdevapi", "junixsocket"];

const SSL_MODES: &[(&str, &str)] = &[
    ("DISABLED", "DISABLED"),
    ("PREFERRED", "PREFERRED"),
    ("REQUIRED", "REQUIRED"),
    ("VERIFY_CA", "VERIFY_CA"),
    ("VERIFY_IDENTITY", "VERIFY_IDENTITY"),
    // MariaDB's.
    ("DISABLE", "DISABLED"),
    ("0", "DISABLED"),
    ("FALSE", "DISABLED"),
    ("TRUST", "REQUIRED"),
    ("VERIFY_FULL", "VERIFY_IDENTITY"),
    ("1", "VERIFY_IDENTITY"),
    ("TRUE", "VERIFY_IDENTITY"),
];
const ZERO_DATES: &[(&str, &str)] = &[
    ("EXCEPTION", "EXCEPTION"),
    ("CONVERT_TO_NULL", "CONVERT_TO_NULL"),
    ("CONVERTTONULL", "CONVERT_TO_NULL"),
    ("ROUND", "ROUND"),
];
const STORE_TYPES: &[(&str, &str)] = &[("PKCS12", "PKCS12"), ("P12", "PKCS12"), ("PEM", "PEM"), ("JKS", "JKS")];

/// Ways to log in that need no class: by name and by the driver's class.
const BUILT_IN: &[&str] = &[
    "mysql_native_password",
    "caching_sha2_password",
    "sha256_password",
    "MysqlNativePasswordPlugin",
    "CachingSha2PasswordPlugin",
    "Sha256PasswordPlugin",
];

/// Every name there is.
pub(in crate::config::url) fn names() -> impl Iterator<Item = &'static str> {
    let lists = [SPECIAL, FLAGS].into_iter().flatten().copied().chain(IGNORED.split_whitespace());
    let with_reason = [ALIASES, REFUSED, REFUSED_IF_TRUE].into_iter().flatten().map(|(name, _)| *name);
    lists.chain(with_reason)
}

/// The name in the one vocabulary, of those that can be kept.
pub(super) fn canonical(name: &str) -> Option<&'static str> {
    let plain = plain(name);
    let alias = ALIASES.iter().find(|(alias, _)| alias.eq_ignore_ascii_case(&plain)).map(|(_, name)| *name);
    let mut known = [SPECIAL, FLAGS].into_iter().flatten().copied();
    alias.or_else(|| known.find(|known| known.eq_ignore_ascii_case(&plain)))
}

fn plain(name: &str) -> String {
    name.chars().filter(|character| !matches!(character, '-' | '_')).collect()
}

/// The meaning of a parameter.
pub(in crate::config::url) fn meaning(driver: Driver, name: &str, value: &str) -> Meaning {
    let plain = plain(name);
    let Some(known) = canonical(name) else { return without_place(&plain, value) };
    match known {
        // Connector/J has no such parameter.
        "timezone" if driver == Driver::ConnectorJ => Meaning::Unknown,
        "user" => Meaning::User(value.to_owned()),
        "password" => Meaning::Password(value.to_owned()),
        "connectTimeout" => milliseconds(value, Meaning::ConnectTimeout),
        "socketTimeout" => milliseconds(value, Meaning::SocketTimeout),
        "sslMode" => word(known, value, SSL_MODES, "DISABLED, PREFERRED, REQUIRED, VERIFY_CA, VERIFY_IDENTITY"),
        "zeroDateTimeBehavior" => word(known, value, ZERO_DATES, "EXCEPTION, CONVERT_TO_NULL, ROUND"),
        "trustStoreType" | "keyStoreType" => word(known, value, STORE_TYPES, "PKCS12, PEM"),
        "sslCa" | "sslCert" | "sslKey" | "trustStore" | "keyStore" => file(known, value),
        "socket" if value.starts_with('/') => Meaning::Keep(known, value.to_owned()),
        "socket" => Meaning::Refuse("must be the whole path of a Unix socket".to_owned()),
        "connectionCollation" => collation(value),
        "databaseTerm" if value.eq_ignore_ascii_case("CATALOG") => Meaning::Ignore,
        "databaseTerm" => Meaning::Refuse("databases are catalogs; remove it".to_owned()),
        "defaultAuthenticationPlugin" | "socketFactory" => built_in(known, value),
        "maxRows" if matches!(value, "-1" | "0") => Meaning::Ignore,
        "maxRows" => Meaning::Refuse("would leave out rows; batch.max.rows sets the size of a page".to_owned()),
        _ if FLAGS.contains(&known) => match flag(value) {
            Some(flag) => Meaning::Keep(known, flag.to_string()),
            None => Meaning::Refuse("must be true or false".to_owned()),
        },
        _ => Meaning::Keep(known, value.to_owned()),
    }
}

/// Parameters of which nothing is kept.
fn without_place(name: &str, value: &str) -> Meaning {
    let of = |list: &[(&str, &str)]| {
        list.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, reason)| (*reason).to_owned())
    };
    if let Some(reason) = of(REFUSED) {
        return Meaning::Refuse(reason);
    }
    if let Some(reason) = of(REFUSED_IF_TRUE) {
        return if flag(value) == Some(false) { Meaning::Ignore } else { Meaning::Refuse(reason) };
    }
    let lower = name.to_lowercase();
    let in_family = IGNORED_FAMILIES.iter().any(|family| lower.starts_with(family));
    let is_ignored = in_family || IGNORED.split_whitespace().any(|known| known.eq_ignore_ascii_case(name));
    if is_ignored { Meaning::Ignore } else { Meaning::Unknown }
}

fn flag(value: &str) -> Option<bool> {
    match value.to_lowercase().as_str() {
        "true" | "yes" | "1" | "" => Some(true),
        "false" | "no" | "0" => Some(false),
        _ => None,
    }
}

fn word(name: &'static str, value: &str, words: &[(&str, &str)], allowed: &str) -> Meaning {
    let upper = value.to_uppercase().replace('-', "_");
    match words.iter().find(|(spelling, _)| *spelling == upper) {
        Some((_, word)) => Meaning::Keep(name, (*word).to_owned()),
        None => Meaning::Refuse(format!("must be one of {allowed}")),
    }
}

fn milliseconds(value: &str, make: fn(Duration) -> Meaning) -> Meaning {
    match value.trim().parse::<u32>() {
        // Zero is no limit for the driver; a day is as good and cannot hang for ever.
        Ok(0) => make(Duration::from_secs(86_400)),
        Ok(milliseconds) => make(Duration::from_millis(u64::from(milliseconds))),
        Err(_) => Meaning::Refuse("must be a number of milliseconds".to_owned()),
    }
}

/// A path, or Java's `file:` URL of one.
fn file(name: &'static str, value: &str) -> Meaning {
    let refused = |reason: &str| Meaning::Refuse(reason.to_owned());
    if value.is_empty() {
        return refused("must be the path of a file");
    }
    if value.trim_start().starts_with("-----BEGIN") {
        return refused("must be the path of a file that holds it");
    }
    let path = match value.split_once(':') {
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("file") => {
            let local = rest.strip_prefix("//").map_or(rest, |rest| rest.strip_prefix("localhost").unwrap_or(rest));
            match percent_decode_str(local).decode_utf8() {
                Ok(path) if path.starts_with('/') || !rest.starts_with("//") => path.into_owned(),
                _ => return refused("must be file:/path"),
            }
        }
        Some((scheme, _)) if ["classpath", "http", "https", "ftp", "jar"].contains(&scheme.to_lowercase().as_str()) => {
            return refused("must be a file; write its path or file:/path");
        }
        _ => value.to_owned(),
    };
    Meaning::Keep(name, path)
}

/// Text is utf8mb4 on the way here, so that a collation of another character set cannot be the session's; those of the
/// three-byte utf8 have a namesake there.
fn collation(value: &str) -> Meaning {
    let lower = value.to_lowercase();
    let is_name = lower.chars().all(|character| character.is_ascii_alphanumeric() || character == '_');
    let order = ["utf8mb4_", "utf8mb3_", "utf8_"].iter().find_map(|charset| lower.strip_prefix(charset));
    match (order, lower.split_once('_')) {
        _ if !is_name => Meaning::Refuse("must be the name of a collation".to_owned()),
        (Some(order), _) if !order.is_empty() => Meaning::Keep("connectionCollation", format!("utf8mb4_{order}")),
        (None, Some((charset, order))) if !charset.is_empty() && !order.is_empty() => Meaning::Note(
            "text comes as utf8mb4, so that the collation is the server's own for it; columns keep theirs".to_owned(),
        ),
        _ if lower == "binary" => {
            Meaning::Note("text comes as utf8mb4, so that the collation is the server's own for it".to_owned())
        }
        _ => Meaning::Refuse("must be the name of a collation".to_owned()),
    }
}

fn built_in(name: &str, value: &str) -> Meaning {
    let class = value.rsplit('.').next().unwrap_or(value);
    if BUILT_IN.contains(&class) || matches!(class, "StandardSocketFactory" | "") {
        return Meaning::Ignore;
    }
    Meaning::Refuse(if name == "socketFactory" {
        "a Java class cannot be loaded; use host and port, `socket` for a Unix socket, or the address of a proxy"
            .to_owned()
    } else {
        PLUGIN.to_owned()
    })
}
