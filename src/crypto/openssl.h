/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* openssl.h - the OpenSSL headers that this folder uses; for .c files only */
#pragma once

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/param_build.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
