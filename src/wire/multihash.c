/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* multihash.c - see multihash.h */

#include <openssl/evp.h>

#include "wire/multihash.h"
#include "wire/varint.h"

enum err multihash_parse(struct span bytes, struct multihash *ret_hash)
{
	uint64_t code;
	uint64_t len;
	enum err e = uvarint_take(&bytes, &code);
	if (e == ERR_OK)
		e = uvarint_take(&bytes, &len);
	if (e != ERR_OK)
		return e;
	if (len > bytes.len)
		return ERR_TRUNCATED;
	if (len < bytes.len || (code == MULTIHASH_SHA2_256 && len != SHA256_LEN))
		return ERR_MALFORMED;
	*ret_hash = (struct multihash){.code = code, .digest = bytes};
	return ERR_OK;
}

void multihash_put(struct wbuf *w, enum multihash_code code, struct span digest)
{
	wbuf_put_uvarint(w, code);
	wbuf_put_uvarint(w, digest.len);
	wbuf_put(w, digest);
}

enum err sha256(struct span message, uint8_t ret_digest[SHA256_LEN])
{
	uint8_t digest[SHA256_LEN];
	if (EVP_Digest(message.p, message.len, digest, NULL, EVP_sha256(), NULL) != 1)
		return ERR_CRYPTO;
	memcpy(ret_digest, digest, sizeof(digest));
	return ERR_OK;
}
