/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * openssl.h - OpenSSL's headers, next to ours
 *
 * OpenSSL declares a type ERR_STATE, which is an error of ours: theirs is renamed while it is read.
 * Include this from .c files only, instead of <openssl/...>.
 */
#pragma once

#define ERR_STATE openssl_err_state
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/param_build.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#undef ERR_STATE
