//! Every limit in one table; the unit stands last in each name. Changing a row here changes it everywhere.

/// Largest request body on any listener of vaultd except batch, in bytes.
pub const BODY_BYTES_MAX: usize = 16 * 1024;
/// Largest body of `POST /v1/payment_methods/batch`, in bytes (2 MiB).
pub const BATCH_BYTES_MAX: usize = 2 * 1024 * 1024;
/// Most cards of one batch.
pub const BATCH_CARDS_MAX: usize = 1_000;
/// Longest ciphertext of a card or a CVC that a client sealed, tag included, in bytes.
pub const SEALED_CARD_BYTES_MAX: usize = 1024;
/// Longest ciphertext of one encrypted field, tag included, in bytes: a number in groups with spaces fits.
pub const ENCRYPTED_FIELD_BYTES_MAX: usize = 64;
/// Fewest digits of a PIN.
pub const PIN_DIGITS_MIN: usize = 4;
/// Most digits of a PIN.
pub const PIN_DIGITS_MAX: usize = 6;
/// Shortest time after which the intake key is exchanged, in hours.
pub const INTAKE_KEY_HOURS_MIN: u64 = 1;
/// Longest time after which the intake key is exchanged, in hours (30 days).
pub const INTAKE_KEY_HOURS_MAX: u64 = 30 * 24;
/// How long an intake key still opens after its end, in seconds (one hour).
pub const INTAKE_OVERLAP_S: u64 = 3600;
/// Longest time that a client may keep the public intake key, in seconds (five minutes).
pub const INTAKE_KEY_CACHE_S: u64 = 300;
/// Longest time that a client of vaultd may take to send a request body, in seconds.
pub const BODY_TTL_S: u64 = 10;
/// Largest request head of vaultd, in bytes; also most of what a client may send ahead of the answer that it waits for. At
/// orchestratord it is more by [`RETURN_BYTES_MAX`], which a payer's browser may bring back in a query.
pub const HEAD_BYTES_MAX: usize = 8 * 1024;
/// Most requests that one listener has at work at a time, whatever the configuration says.
pub const REQUESTS_AT_WORK_MAX: usize = 65_536;
/// How long a request waits for the disk to take its entry or its write, in seconds, before it is told that it was not.
pub const DISK_TTL_S: u64 = 30;
/// Longest tenant name, in characters.
pub const TENANT_CHARS_MAX: usize = 64;
/// Longest name of a node, in characters.
pub const NODE_CHARS_MAX: usize = 32;
/// Most nodes on one store.
pub const NODES_MAX: usize = 32;
/// Most that a node tells the others with one beat, in bytes (64 KiB).
pub const NODE_NEWS_BYTES_MAX: usize = 64 * 1024;
/// Most epochs of CVCs that one node knows at a time.
pub const EPOCHS_MAX: usize = 256;
/// Largest signed note that brings the key of an epoch to a node, in bytes.
pub const EPOCH_NOTE_BYTES_MAX: usize = 2 * 1024;
/// Most that a node says of the allowances that all nodes share, in bytes (128 KiB).
pub const USES_BYTES_MAX: usize = 128 * 1024;
/// Longest name of a lease, in bytes.
pub const LEASE_BYTES_MAX: usize = 128;
/// Longest customer id, in characters.
pub const CUSTOMER_CHARS_MAX: usize = 64;
/// Longest `reference` of a reveal, in characters.
pub const REFERENCE_CHARS_MAX: usize = 64;
/// Longest `Idempotency-Key`, in characters.
pub const IDEMPOTENCY_KEY_CHARS_MAX: usize = 128;
/// How long an idempotent answer is kept, in seconds (24 hours).
pub const IDEMPOTENCY_TTL_S: u64 = 24 * 3600;
/// Most years that a card may expire ahead of today.
pub const EXPIRY_YEARS_AHEAD_MAX: u16 = 50;
/// Longest card holder name, in bytes of UTF-8.
pub const HOLDER_NAME_BYTES_MAX: usize = 96;
/// Most metadata entries of a payment method.
pub const METADATA_ENTRIES_MAX: usize = 50;
/// Longest metadata key, in characters.
pub const METADATA_KEY_CHARS_MAX: usize = 40;
/// Longest metadata value, in characters.
pub const METADATA_VALUE_CHARS_MAX: usize = 500;
/// Largest metadata of one payment method, as JSON, in bytes.
pub const METADATA_BYTES_MAX: usize = 4 * 1024;
/// Items of a list page when the caller names no `limit`.
pub const PAGE_ITEMS_DEFAULT: u32 = 20;
/// Most items of a list page.
pub const PAGE_ITEMS_MAX: u32 = 100;
/// Shortest life of a short-term record, in seconds.
pub const SHORT_TERM_TTL_MIN_S: u64 = 10;
/// Life of a short-term record when the caller names no `ttl_seconds` (one hour).
pub const SHORT_TERM_TTL_DEFAULT_S: u64 = 3600;
/// Longest life of a short-term record, in seconds (seven days).
pub const SHORT_TERM_TTL_MAX_S: u64 = 7 * 24 * 3600;
/// Shortest life of a client session, in seconds.
pub const SESSION_TTL_MIN_S: u64 = 10;
/// Life of a client session when the caller names no `expires_in`, in seconds (15 minutes).
pub const SESSION_TTL_DEFAULT_S: u64 = 900;
/// Longest life of a client session, in seconds (one hour).
pub const SESSION_TTL_MAX_S: u64 = 3600;
/// Most allowed origins of a client session.
pub const SESSION_ORIGINS_MAX: usize = 8;
/// Most sessions that browsers may open with the client secret of one payment.
pub const VAULT_SESSIONS_MAX: u32 = 20;
/// Longest origin, in characters.
pub const ORIGIN_CHARS_MAX: usize = 255;
/// Longest client session as text, in characters.
pub const SESSION_CHARS_MAX: usize = 4 * 1024;
/// Largest report of a browser about a policy of the card fields that it saw broken, in bytes.
pub const SDK_REPORT_BYTES_MAX: usize = 16 * 1024;
/// Most such reports in one request.
pub const SDK_REPORTS_MAX: usize = 20;
/// Most requests with such reports a minute from one address.
pub const SDK_REPORTS_PER_MINUTE_MAX: u32 = 30;
/// Most lines a minute that vaultd logs for such reports; all are counted.
pub const SDK_REPORTS_LOGGED_PER_MINUTE_MAX: u32 = 60;
/// Most cards one client session may tokenize, on all nodes together; with more nodes than this one at each.
pub const SESSION_CARDS_MAX: u32 = 20;
/// Life of a sealed CVC, in seconds (15 minutes); it is also the life of the epoch key.
pub const CVC_TTL_S: u64 = 900;
/// Most spent CVC ids remembered in one epoch before new ones are refused.
pub const CVC_SPENT_MAX: usize = 1_000_000;
/// Largest secret (a connector credential), in bytes.
pub const SECRET_BYTES_MAX: usize = 8 * 1024;
/// Longest name of a secret, in characters.
pub const SECRET_NAME_CHARS_MAX: usize = 64;
/// Longest client identity (URI SAN), in bytes.
pub const IDENTITY_BYTES_MAX: usize = 200;
/// Most tenants of one vault.
pub const TENANTS_MAX: usize = 10_000;
/// Largest policy file, in bytes.
pub const POLICY_BYTES_MAX: usize = 1024 * 1024;
/// Most identities of one policy file.
pub const IDENTITIES_MAX: usize = 10_000;
/// Largest configuration file, in bytes.
pub const CONFIG_BYTES_MAX: usize = 256 * 1024;
/// Most custodians' shares of one Root.
pub const SHARES_MAX: u8 = 16;
/// Fewest shares that may open a Root: PCI DSS 3.6.1.2 wants more than two halves of one key.
pub const THRESHOLD_MIN: u8 = 2;
/// Fewest custodians' shares of one Root.
pub const SHARES_MIN: u8 = 3;
/// Longest name of a custodian, in characters.
pub const CUSTODIAN_CHARS_MAX: usize = 64;
/// Shortest passphrase of a custodian, in characters.
pub const PASSPHRASE_CHARS_MIN: usize = 12;
/// Longest passphrase of a custodian, in bytes.
pub const PASSPHRASE_BYTES_MAX: usize = 1024;
/// Largest file of a sealed share, in bytes.
pub const SHARE_FILE_BYTES_MAX: usize = 4 * 1024;
/// Largest `root.json`, in bytes.
pub const ROOT_FILE_BYTES_MAX: usize = 8 * 1024;
/// Longest label, serial number, id, ARN or region of a key in an HSM or KMS, in characters.
pub const ROOT_NAME_CHARS_MAX: usize = 256;
/// Largest file of an HSM's PIN, in bytes.
pub const PIN_FILE_BYTES_MAX: usize = 256;
/// Largest signed note (checkpoint, completion proof), in bytes.
pub const NOTE_BYTES_MAX: usize = 64 * 1024;
/// Most signatures on one note.
pub const NOTE_SIGNATURES_MAX: usize = 16;
/// Longest name of a signer of notes, in characters.
pub const SIGNER_CHARS_MAX: usize = 128;
/// Life of an unseal ceremony that does not finish, in seconds.
pub const CEREMONY_TTL_S: u64 = 900;
/// Largest file of a ceremony, in bytes.
pub const CEREMONY_BYTES_MAX: usize = 16 * 1024;
/// Most witnesses of a ceremony.
pub const CEREMONY_WITNESSES_MAX: usize = 8;
/// Longest title of a ceremony and longest role of a person in it, in characters.
pub const CEREMONY_TEXT_CHARS_MAX: usize = 120;
/// Most wraps under one Kek (well under the 2^32 of NIST SP 800-38D).
pub const KEK_WRAPS_MAX: u64 = 1 << 31;
/// Largest audit entry, in bytes.
pub const ENTRY_BYTES_MAX: usize = 600;
/// Most entries of one `GET /v1/audit/entries` page.
pub const ENTRIES_PAGE_MAX: u32 = 1_000;
/// Largest request body of the PSP simulator, in bytes.
pub const SIMULATOR_BODY_BYTES_MAX: usize = 32 * 1024;
/// Most form fields in one request to the PSP simulator.
pub const SIMULATOR_FIELDS_MAX: usize = 200;
/// Most objects of one kind (and idempotency keys) that the PSP simulator holds.
pub const SIMULATOR_OBJECTS_MAX: usize = 250_000;
/// Longest `Idempotency-Key` at the PSP simulator, in characters, as at Stripe.
pub const SIMULATOR_KEY_CHARS_MAX: usize = 255;
/// Longest `Idempotency-Key` at Adyen, in characters.
pub const ADYEN_KEY_CHARS_MAX: usize = 64;
/// Longest delay that a fault of the PSP simulator may be given, in milliseconds.
pub const SIMULATOR_DELAY_MS_MAX: u64 = 120_000;
/// Most faults armed at the PSP simulator at a time.
pub const SIMULATOR_FAULTS_MAX: usize = 1_000;
/// Most secret keys that the PSP simulator accepts.
pub const SIMULATOR_API_KEYS_MAX: usize = 64;
/// Most webhook targets of the PSP simulator.
pub const SIMULATOR_WEBHOOK_TARGETS_MAX: usize = 64;
/// Most events that wait to be sent by the PSP simulator; one more is lost.
pub const SIMULATOR_WEBHOOKS_WAITING_MAX: usize = 10_000;
/// Largest request body of orchestratord, in bytes.
pub const PAYMENT_BODY_BYTES_MAX: usize = 64 * 1024;
/// Longest payment, refund or merchant id that a caller may choose, in characters.
pub const PAYMENT_ID_CHARS_MAX: usize = 30;
/// Largest amount of one payment, in minor units.
pub const AMOUNT_MINOR_MAX: u64 = 999_999_999_999;
/// Longest description, reason or name in a payment, in bytes.
pub const PAYMENT_TEXT_BYTES_MAX: usize = 255;
/// Longest statement descriptor, in characters.
pub const STATEMENT_CHARS_MAX: usize = 22;
/// Longest header of a payer's browser (user agent, accept) in a payment, in bytes.
pub const BROWSER_TEXT_BYTES_MAX: usize = 2048;
/// Longest URL in a payment, in bytes.
pub const URL_BYTES_MAX: usize = 2048;
/// Largest free-form object (address, metadata, browser information) of a payment, as JSON, in bytes.
pub const PAYMENT_OBJECT_BYTES_MAX: usize = 8 * 1024;
/// Longest `X-Trace-Id` of a direct charge that is echoed and logged, in characters.
pub const TRACE_ID_CHARS_MAX: usize = 64;
/// Most that another front door may note in a payment, as JSON, in bytes.
pub const DOOR_NOTE_BYTES_MAX: usize = 16 * 1024;
/// Most accounts that a call of the gateway dialect may name beside the first, so that each can be tried.
pub const GATEWAY_FALLBACKS_MAX: usize = ATTEMPTS_MAX - 1;
/// Longest name that the gateway dialect gives a connector account, in characters.
pub const GATEWAY_ACCOUNT_NAME_CHARS_MAX: usize = 64;
/// Most requests that another front door may be told to let one key make in a minute.
pub const DOOR_REQUESTS_PER_MINUTE_MAX: u32 = 60_000;
/// Most of them that it may be told to let come at once.
pub const DOOR_BURST_MAX: u32 = 10_000;
/// Most keys whose requests another front door counts one by one.
pub const DOOR_KEYS_MAX: usize = 10_000;
/// Most items of an invoice.
pub const INVOICE_DETAILS_MAX: usize = 100;
/// Longest name of an item of an invoice, in bytes.
pub const INVOICE_NAME_BYTES_MAX: usize = 80;
/// Longest id of a scheme for a payment, in characters.
pub const NETWORK_ID_CHARS_MAX: usize = 64;
/// Most fields that a payer's browser may bring back from authentication.
pub const RETURN_FIELDS_MAX: usize = 32;
/// Largest query or form that a payer's browser may bring back from authentication, in bytes.
pub const RETURN_BYTES_MAX: usize = 24 * 1024;
/// Most captures of one payment, the failed ones among them.
pub const CAPTURES_MAX: usize = 100;
/// Most raises of one authorization.
pub const INCREMENTS_MAX: usize = 10;
/// Most refunds of one payment.
pub const REFUNDS_MAX: usize = 10;
/// Life of a payment's client secret, in seconds, when the caller names no `session_expiry`.
pub const CLIENT_SECRET_TTL_S: u64 = 900;
/// Longest life of a payment's client secret, in seconds (one day).
pub const CLIENT_SECRET_TTL_MAX_S: u64 = 24 * 3600;
/// Life of a `payment_token`, in seconds.
pub const PAYMENT_TOKEN_TTL_S: u64 = 900;
/// Most saved cards in one answer.
pub const SAVED_CARDS_MAX: usize = 100;
/// Most pages of the vault that are read to find a customer's saved cards among the short-term ones.
pub const SAVED_CARD_PAGES_MAX: usize = 10;
/// Most values of one filter of a list of payments.
pub const LIST_CHOICES_MAX: usize = 50;
/// Most operators of the dashboard.
pub const OPERATORS_MAX: usize = 100;
/// Longest name of an operator, in characters.
pub const OPERATOR_NAME_CHARS_MAX: usize = 32;
/// How long an operator who does nothing stays logged in, in seconds (15 minutes, PCI DSS 8.2.8).
pub const OPERATOR_IDLE_S: u64 = 15 * 60;
/// How long an operator stays logged in at most, in seconds (8 hours).
pub const OPERATOR_SESSION_S: u64 = 8 * 3600;
/// Most sessions of one operator at a time; the oldest gives way.
pub const OPERATOR_SESSIONS_MAX: u32 = 10;
/// Tries in a row after which an operator's name is locked (PCI DSS 8.3.4).
pub const LOGIN_TRIES_MAX: u32 = 10;
/// How long a name stays locked, in seconds (30 minutes, PCI DSS 8.3.4).
pub const LOGIN_LOCK_S: u64 = 30 * 60;
/// Most tries to log in from one address within `LOGIN_ADDRESS_WINDOW_S`.
pub const LOGINS_PER_ADDRESS_MAX: u32 = 30;
/// The time in which tries from one address are counted, in seconds (5 minutes).
pub const LOGIN_ADDRESS_WINDOW_S: u64 = 5 * 60;
/// Most addresses whose tries to log in are counted one by one; those beyond them share one count.
pub const LOGIN_ADDRESSES_MAX: usize = 10_000;
/// Most passwords that are checked at a time; each takes as much memory as its hash says.
pub const PASSWORD_CHECKS_MAX: usize = 2;
/// Most tries to log in that wait for their check; more are turned away.
pub const PASSWORD_CHECKS_WAITING_MAX: usize = 16;
/// Most memory of an operator's password hash, in KiB (256 MiB).
pub const PASSWORD_MEMORY_KIB_MAX: u32 = 256 * 1024;
/// Largest form of the dashboard other than rules, in bytes.
pub const DASHBOARD_FORM_BYTES_MAX: usize = 8 * 1024;
/// Largest routing document that the dashboard's editor takes, in bytes.
pub const DASHBOARD_RULES_BYTES_MAX: usize = 32 * 1024;
/// Most merchants that the dashboard offers for choice; any other is named.
pub const DASHBOARD_MERCHANTS_MAX: u32 = 100;
/// Most payments that the dashboard counts for one page, the newest ones.
pub const DASHBOARD_COUNTED_MAX: u32 = 20_000;
/// Most payments that a dry run of rules goes through, the newest ones.
pub const DRY_RUN_PAYMENTS_MAX: u32 = 500;
/// Longest cursor of a list of payments or refunds, in characters.
pub const CURSOR_CHARS_MAX: usize = 128;
/// Most connector accounts of one merchant.
pub const CONNECTOR_ACCOUNTS_MAX: usize = 20;
/// Most values of one list in what a connector account accepts.
pub const ACCEPTED_VALUES_MAX: usize = 200;
/// Most authorizations that one payment tries, each at another connector account.
pub const ATTEMPTS_MAX: usize = 5;
/// Most rules of one merchant's routing document.
pub const ROUTING_RULES_MAX: usize = 50;
/// Most values of one condition in a routing rule.
pub const ROUTING_VALUES_MAX: usize = 100;
/// How long replaced credentials stay readable when the caller names no `overlap_seconds`, in seconds (one hour).
pub const CREDENTIAL_OVERLAP_S: u64 = 3600;
/// The same for those of a deleted account (two days): by then no call to the provider is in doubt any more.
pub const DELETED_OVERLAP_S: u64 = 2 * 24 * 3600;
/// Longest `overlap_seconds`, in seconds (30 days).
pub const CREDENTIAL_OVERLAP_MAX_S: u64 = 30 * 24 * 3600;
/// Most replaced credentials of one connector account that are still readable.
pub const RETIRED_SECRETS_MAX: usize = 4;
/// Most API keys of one merchant.
pub const API_KEYS_MAX: usize = 20;
/// Largest webhook of a provider, in bytes.
pub const WEBHOOK_BODY_BYTES_MAX: usize = 256 * 1024;
/// Most webhooks a second for one connector account.
pub const WEBHOOKS_IN_PER_SECOND_MAX: u32 = 100;
/// Most disputes of one payment.
pub const DISPUTES_MAX: usize = 20;
/// Most of a receiver's answer to a webhook that is read, in bytes.
pub const WEBHOOK_ANSWER_BYTES_MAX: usize = 16 * 1024;
/// Most secrets that sign one merchant's webhooks at a time.
pub const WEBHOOK_SECRETS_MAX: usize = 3;
/// How long a webhook secret that was replaced still signs when the caller names no `overlap_seconds`, in seconds (one day).
pub const WEBHOOK_OVERLAP_S: u64 = 24 * 3600;
/// Longest `overlap_seconds` of a webhook secret, in seconds (seven days).
pub const WEBHOOK_OVERLAP_MAX_S: u64 = 7 * 24 * 3600;
/// How long a webhook that its receiver does not take is sent again, in seconds (three days).
pub const WEBHOOK_DELIVERY_S: u64 = 3 * 24 * 3600;
/// Connections of one orchestrator to its PostgreSQL server when the configuration names no number.
pub const DATABASE_CONNECTIONS_DEFAULT: usize = 16;
/// Most connections of one orchestrator to its PostgreSQL server.
pub const DATABASE_CONNECTIONS_MAX: usize = 200;
/// Largest answer of a PSP, in bytes.
pub const PSP_ANSWER_BYTES_MAX: usize = 512 * 1024;
/// Largest answer of the vault, in bytes.
pub const VAULT_ANSWER_BYTES_MAX: usize = 512 * 1024;
/// Most events of one webhook of a PSP.
pub const WEBHOOK_EVENTS_MAX: usize = 100;
/// Most HTTP requests of one operation at a PSP that does something.
pub const PSP_STEPS_MAX: u8 = 8;
/// Most HTTP requests of one question to a PSP about a payment or refund; a page more than `STRIPE_PAGES_MAX`.
pub const PSP_QUESTIONS_MAX: u8 = 101;
/// Largest `reveals_per_minute` of an identity.
pub const REVEALS_PER_MINUTE_MAX: u32 = 100_000_000;
/// Largest `reveals_per_day` of an identity.
pub const REVEALS_PER_DAY_MAX: u32 = 4_000_000_000;
/// Largest `requests_per_second` of an identity.
pub const REQUESTS_PER_SECOND_MAX: u32 = 1_000_000;
/// Most open client sessions whose cards one node counts; a session beyond them is refused.
pub const SESSIONS_COUNTED_MAX: usize = 1_000_000;
/// Most audit entries that wait for the disk; a request beyond them is refused.
pub const AUDIT_WAITING_ENTRIES_MAX: usize = 16 * 1024;
/// Most single entries in a minute for refusals of clients without an identity, or of one identity over its request
/// rate; the others are counted in a summary entry.
pub const REFUSALS_PER_MINUTE_MAX: u32 = 60;
/// Most pages of 100 that are read while a lost payment or refund is looked for at Stripe.
pub const STRIPE_PAGES_MAX: u8 = 100;
/// Most writes that may wait for the store's writer before more are refused.
pub const STORE_QUEUE_MAX: usize = 8_192;
/// Most writes of one commit of the store, and most cards of one insert.
pub const STORE_GROUP_MAX: usize = 1_024;
/// Most records of one read or one swap of the store.
pub const STORE_PAGE_MAX: u32 = 10_000;
/// Largest envelope in the store, in bytes: a record of 16 KiB, its glance, nonces and tags fit.
pub const STORED_ENVELOPE_BYTES_MAX: usize = 20 * 1024;
/// Largest wrapped key in the store, in bytes.
pub const WRAPPED_KEY_BYTES_MAX: usize = 1024;
/// Longest fault or completion proof of a rotation, in bytes.
pub const ROTATION_TEXT_BYTES_MAX: usize = 8 * 1024;
/// Longest name of a destination, in characters.
pub const DESTINATION_CHARS_MAX: usize = 32;
/// Longest path of a request to be forwarded, in bytes.
pub const FORWARD_PATH_BYTES_MAX: usize = 1024;
/// Most pairs in the query of a request to be forwarded.
pub const FORWARD_QUERY_MAX: usize = 32;
/// Most headers of a request to be forwarded.
pub const FORWARD_HEADERS_MAX: usize = 32;
/// Longest name of a header, pair or member of a request to be forwarded, in bytes.
pub const FORWARD_NAME_BYTES_MAX: usize = 256;
/// Longest value of a header or of a pair of the query of a request to be forwarded, in bytes.
pub const FORWARD_VALUE_BYTES_MAX: usize = 4 * 1024;
/// Most values of a JSON body, members of one object or pairs of a form of a request to be forwarded.
pub const FORWARD_FIELDS_MAX: usize = 500;
/// Deepest nesting of a JSON body of a request to be forwarded, in levels: a value in the outermost object stands on 1.
pub const FORWARD_DEPTH_MAX: usize = 32;
/// Most text in the body of a request to be forwarded, names and values together, in bytes.
pub const FORWARD_BODY_BYTES_MAX: usize = 32 * 1024;
/// Largest body of `POST /v1/forward`, in bytes.
pub const FORWARD_BYTES_MAX: usize = 64 * 1024;
/// Largest body of a destination's answer, in bytes; larger ones leave the request in doubt.
pub const FORWARD_ANSWER_BYTES_MAX: usize = 64 * 1024;
/// Largest head of a destination's answer, in bytes.
pub const FORWARD_ANSWER_HEAD_BYTES_MAX: usize = 32 * 1024;
/// Longest value of a header of a destination's answer that is passed on, in bytes.
pub const FORWARD_ANSWER_VALUE_BYTES_MAX: usize = 512;
/// Most destinations of one configuration.
pub const DESTINATIONS_MAX: usize = 100;
/// Most patterns of paths, places of slots or pinned addresses of one destination, each.
pub const DESTINATION_RULES_MAX: usize = 100;
/// Most addresses that a destination's name may lead to.
pub const DESTINATION_ADDRESSES_MAX: usize = 16;
/// Longest time for a connection to a destination, TLS included, in milliseconds.
pub const DESTINATION_CONNECT_MS_MAX: u64 = 30_000;
/// Longest time for a whole request to a destination, in milliseconds.
pub const DESTINATION_TOTAL_MS_MAX: u64 = 120_000;
/// Largest kept answer in the store, as an envelope, in bytes: the largest answer of a destination fits, with its headers.
pub const STORED_ANSWER_BYTES_MAX: usize = 73 * 1024;
/// Most requests that the vault has on their way to destinations at a time; more are refused. Each needs a file of the
/// process, and the databases must keep theirs.
pub const FORWARDS_AT_ONCE_MAX: usize = 128;
/// Most acts that wait for a second person or for their end.
pub const ACTS_OPEN_MAX: u32 = 100;
/// Most acts in one list; the newest are shown.
pub const ACTS_LISTED_MAX: u32 = 500;
/// How long an act that needs two people waits for the second one, in milliseconds (24 hours).
pub const ACT_OPEN_MS: u64 = 24 * 3_600 * 1_000;
/// How long an act that is over stays in the list, in milliseconds (30 days).
pub const ACT_KEPT_MS: u64 = 30 * 24 * 3_600 * 1_000;
/// Largest act in the store, signature included, in bytes.
pub const ACT_BYTES_MAX: usize = 16 * 1024;
/// Most cards of a customer that one request deletes; asking again goes on.
pub const CUSTOMER_CARDS_MAX: u32 = 1_000;
/// Longest rule of retention, in days.
pub const RETENTION_DAYS_MAX: u32 = 36_500;
/// Longest summary of what a policy file changes, in bytes.
pub const POLICY_CHANGES_BYTES_MAX: usize = 8 * 1024;
/// Most card numbers that a report of `vaultctl scan` lists; those beyond them are counted.
pub const SCAN_FINDINGS_MAX: usize = 10_000;
/// Most public keys that one identity may be pinned to.
pub const PINS_MAX: usize = 8;
/// Most client certificates that a vault remembers to have seen.
pub const CLIENTS_SEEN_MAX: usize = 1_000;
/// Most days before the end of a certificate from which on it is warned of.
pub const CERTIFICATE_WARN_DAYS_MAX: u32 = 365;
/// Most records that `POST /v1/store/verify` tries.
pub const VERIFY_SAMPLE_MAX: u32 = 10_000;
/// Largest PEM file of a key of the card-vault dialect, in bytes.
pub const LOCKER_KEY_BYTES_MAX: usize = 16 * 1024;
/// Shortest RSA key of the card-vault dialect, in bits.
pub const LOCKER_KEY_BITS_MIN: usize = 2048;
/// Longest RSA key of the card-vault dialect, in bits.
pub const LOCKER_KEY_BITS_MAX: usize = 4096;
/// Longest id of a key and of a tenant in the card-vault dialect, in characters.
pub const LOCKER_NAME_CHARS_MAX: usize = 64;
/// Most callers of the card-vault dialect.
pub const LOCKER_CALLERS_MAX: usize = 64;
/// Most messages of the card-vault dialect that are remembered, so that none is taken twice.
pub const LOCKER_MESSAGES_MAX: usize = 65_536;
/// Longest `ttl` of the card-vault dialect, in seconds (twenty years).
pub const LOCKER_TTL_MAX_S: u64 = 20 * 365 * 24 * 3600;
/// Longest `data` that the card-vault dialect makes a fingerprint of, in bytes.
pub const LOCKER_FINGERPRINT_BYTES_MAX: usize = 2048;
/// Longest fingerprint key of a caller of the card-vault dialect, in bytes.
pub const LOCKER_FINGERPRINT_KEY_BYTES_MAX: usize = 256;
/// Most backups that are kept.
pub const BACKUPS_KEPT_MAX: u32 = 1_000;
