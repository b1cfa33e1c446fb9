/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * public_key.c - signatures of others: Ed25519, Secp256k1, ECDSA and RSA
 *
 * Whatever comes here was sent by someone who has proved nothing yet. So each key is checked down
 * to its last byte here, by length and by comparison, before OpenSSL sees a number of it: OpenSSL's
 * own readers of DER keys are never called. EC keys are uncompressed points of three named curves
 * behind a fixed prefix; of RSA keys the modulus and the exponent are bounded. What then remains is
 * one verification, of at most 4096 bits and a small exponent.
 */
#include <stdio.h>

#include "base/util.h"
#include "crypto/key.h"
#include "crypto/key_pb.h"
#include "crypto/openssl.h"

enum {
	ED25519_LEN = 32,       /* bytes of a key */
	SECP256K1_LEN = 33,     /* bytes of a compressed point */
	EC_POINT_LEN_MAX = 133, /* bytes of an uncompressed point: P-521 */
	RSA_EXPONENT_LEN_MAX =
		4, /* bytes: below 2^32. go refuses above 2^31; all in use are 65537 */
	DER_INTEGER = 0x02,
	DER_BIT_STRING = 0x03,
	DER_SEQUENCE = 0x30,
};

/* A key that was checked, with what its signatures must look like. */
struct verifier {
	EVP_PKEY *key;
	const EVP_MD *digest; /* NULL: the signature is over the message itself */
	size_t signature_len_min;
	size_t signature_len_max;
};

/* SubjectPublicKeyInfo of one curve, up to the point. */
struct curve {
	const char *name;
	uint8_t prefix[26];
	uint8_t prefix_len;
	uint8_t point_len;
	uint8_t signature_len_max; /* DER: two integers of the curve's size, each perhaps with a
				      zero in front */
};

static const struct curve curves[] = {
	{"P-256",
	 {0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01,
	  0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00},
	 26,
	 65,
	 72},
	{"P-384",
	 {0x30, 0x76, 0x30, 0x10, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02,
	  0x01, 0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x22, 0x03, 0x62, 0x00},
	 23,
	 97,
	 104},
	{"P-521",
	 {0x30, 0x81, 0x9b, 0x30, 0x10, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02,
	  0x01, 0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x23, 0x03, 0x81, 0x86, 0x00},
	 25,
	 EC_POINT_LEN_MAX,
	 139},
};

enum {
	ECDSA_SIGNATURE_LEN_MIN = 8, /* bytes; DER of two integers of one byte */
};

static EVP_PKEY *make_key(const char *type, OSSL_PARAM *params)
{
	EVP_PKEY *key = NULL;
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
	if (ctx == NULL || params == NULL || EVP_PKEY_fromdata_init(ctx) != 1 ||
	    EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_PUBLIC_KEY, params) != 1)
		key = NULL;
	EVP_PKEY_CTX_free(ctx);
	return key;
}

/* OpenSSL checks that the point is on the curve. */
static EVP_PKEY *make_ec_key(const char *curve, struct span point)
{
	char name[16];
	uint8_t copy[EC_POINT_LEN_MAX]; /* OSSL_PARAM takes no pointers to const */
	snprintf(name, sizeof(name), "%s", curve);
	memcpy(copy, point.p, point.len);
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, name, 0),
		OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, copy, point.len),
		OSSL_PARAM_construct_end(),
	};
	return make_key("EC", params);
}

static EVP_PKEY *make_rsa_key(struct span modulus, struct span exponent)
{
	BIGNUM *n = BN_bin2bn(modulus.p, (int)modulus.len, NULL);
	BIGNUM *e = BN_bin2bn(exponent.p, (int)exponent.len, NULL);
	OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
	OSSL_PARAM *params = NULL;
	if (n != NULL && e != NULL && builder != NULL &&
	    OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_N, n) == 1 &&
	    OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_E, e) == 1)
		params = OSSL_PARAM_BLD_to_param(builder);
	EVP_PKEY *key = make_key("RSA", params);
	OSSL_PARAM_free(params);
	OSSL_PARAM_BLD_free(builder);
	BN_free(e);
	BN_free(n);
	return key;
}

/* The value with this tag from the front of *s; lengths up to 65535, in their shortest form. */
static bool take_der(struct span *s, uint8_t tag, struct span *ret_value)
{
	struct span head;
	if (span_take(s, 2, &head) != ERR_OK || head.p[0] != tag)
		return false;
	size_t len = head.p[1];
	if (len >= 0x80) {
		size_t n = len - 0x80;
		struct span digits;
		if (n < 1 || n > 2 || span_take(s, n, &digits) != ERR_OK)
			return false;
		len = n == 1 ? digits.p[0] : load_be16(digits.p);
		if (len < (n == 1 ? 0x80 : 0x100))
			return false;
	}
	return span_take(s, len, ret_value) == ERR_OK;
}

/* A positive integer, without the zero that keeps its sign. */
static bool take_der_positive(struct span *s, struct span *ret_digits)
{
	struct span value;
	if (!take_der(s, DER_INTEGER, &value) || value.len == 0 || value.p[0] >= 0x80)
		return false;
	if (value.p[0] == 0) {
		span_skip(&value, 1);
		if (value.len == 0 || value.p[0] < 0x80)
			return false;
	}
	*ret_digits = value;
	return true;
}

static size_t count_bits(struct span digits)
{
	return 8 * digits.len - (size_t)(__builtin_clz(digits.p[0]) - 24);
}

static enum err check_ed25519(struct span data, struct verifier *ret)
{
	if (data.len != ED25519_LEN)
		return ERR_BAD_KEY;
	ret->key = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, data.p, data.len);
	ret->digest = NULL;
	ret->signature_len_min = ret->signature_len_max = IDENTITY_SIGNATURE_LEN;
	return ERR_OK;
}

static enum err check_secp256k1(struct span data, struct verifier *ret)
{
	if (data.len != SECP256K1_LEN || (data.p[0] != 2 && data.p[0] != 3))
		return ERR_BAD_KEY;
	ret->key = make_ec_key("secp256k1", data);
	ret->digest = EVP_sha256();
	ret->signature_len_min = ECDSA_SIGNATURE_LEN_MIN;
	ret->signature_len_max = curves[0].signature_len_max;
	return ERR_OK;
}

static enum err check_ecdsa(struct span data, struct verifier *ret)
{
	for (size_t i = 0; i < ARRAY_LEN(curves); i++) {
		const struct curve *c = &curves[i];
		if (data.len != (size_t)c->prefix_len + c->point_len ||
		    memcmp(data.p, c->prefix, c->prefix_len) != 0)
			continue;
		span_skip(&data, c->prefix_len);
		if (data.p[0] != 4) /* uncompressed: what DER writers make */
			return ERR_BAD_KEY;
		ret->key = make_ec_key(c->name, data);
		ret->digest = EVP_sha256();
		ret->signature_len_min = ECDSA_SIGNATURE_LEN_MIN;
		ret->signature_len_max = c->signature_len_max;
		return ERR_OK;
	}
	return ERR_BAD_KEY;
}

static enum err check_rsa(struct span data, struct verifier *ret)
{
	static const uint8_t algorithm[] = {0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86,
					    0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00};
	struct span info, bits, key, modulus, exponent;
	if (!take_der(&data, DER_SEQUENCE, &info) || data.len != 0 ||
	    !span_starts_with(info, span_of(algorithm, sizeof(algorithm))))
		return ERR_BAD_KEY;
	span_skip(&info, sizeof(algorithm));
	if (!take_der(&info, DER_BIT_STRING, &bits) || info.len != 0 || bits.len == 0 ||
	    bits.p[0] != 0)
		return ERR_BAD_KEY;
	span_skip(&bits, 1);
	if (!take_der(&bits, DER_SEQUENCE, &key) || bits.len != 0 ||
	    !take_der_positive(&key, &modulus) || !take_der_positive(&key, &exponent) ||
	    key.len != 0)
		return ERR_BAD_KEY;

	size_t n_bits = count_bits(modulus);
	if (n_bits < RSA_BITS_MIN || n_bits > RSA_BITS_MAX)
		return ERR_BAD_KEY;
	/* Even numbers are no RSA; an exponent of 1 makes everything its own signature. */
	uint8_t modulus_end = modulus.p[modulus.len - 1];
	uint8_t exponent_end = exponent.p[exponent.len - 1];
	if (exponent.len > RSA_EXPONENT_LEN_MAX || (exponent.len == 1 && exponent_end == 1) ||
	    (modulus_end & exponent_end & 1) == 0)
		return ERR_BAD_KEY;
	ret->key = make_rsa_key(modulus, exponent);
	ret->digest = EVP_sha256();
	ret->signature_len_min = ret->signature_len_max = modulus.len;
	return ERR_OK;
}

static enum err check_key(struct span public_key_pb, struct verifier *ret)
{
	uint64_t type, data_len;
	if (public_key_pb.len > PUBLIC_KEY_LEN_MAX ||
	    key_pb_head(&public_key_pb, &type, &data_len) != ERR_OK)
		return ERR_BAD_KEY;
	if (public_key_pb.len != data_len)
		return ERR_BAD_KEY;
	switch (type) {
	case KEY_RSA:
		return check_rsa(public_key_pb, ret);
	case KEY_ED25519:
		return check_ed25519(public_key_pb, ret);
	case KEY_SECP256K1:
		return check_secp256k1(public_key_pb, ret);
	case KEY_ECDSA:
		return check_ecdsa(public_key_pb, ret);
	default:
		return ERR_UNSUPPORTED;
	}
}

static enum err check_signature(const struct verifier *v, struct span message,
				struct span signature)
{
	if (signature.len < v->signature_len_min || signature.len > v->signature_len_max)
		return ERR_BAD_SIGNATURE;
	enum err e = ERR_CRYPTO;
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	if (ctx != NULL && EVP_DigestVerifyInit(ctx, NULL, v->digest, NULL, v->key) == 1)
		e = EVP_DigestVerify(ctx, signature.p, signature.len, message.p, message.len) == 1
			    ? ERR_OK
			    : ERR_BAD_SIGNATURE;
	EVP_MD_CTX_free(ctx);
	return e;
}

enum err public_key_verify(struct span public_key_pb, struct span message, struct span signature)
{
	struct verifier v = {0};
	enum err e = check_key(public_key_pb, &v);
	if (e == ERR_OK)
		e = v.key != NULL ? check_signature(&v, message, signature) : ERR_BAD_KEY;
	EVP_PKEY_free(v.key);
	if (e != ERR_OK)
		ERR_clear_error();
	return e;
}
