// What the build puts in: the version, and the hashes of the files that the loader fetches later.

/** The version of this SDK, such as `1.0.0`; also the name of its folder on the vault. */
declare const __VERSION__: string;

/** Subresource integrity of `payments.js` in the same folder (`sha384-...`). */
declare const __PAYMENTS_INTEGRITY__: string;
