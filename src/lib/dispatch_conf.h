/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* dispatch_conf.h - from what a program sets to what dispatch is set to */
#pragma once

#include <runnel/dispatch.h>

#include "vpn/dispatch/dispatch_settings.h"

/* Is all of it allowed? ERR_RANGE: errbuf says what is not, cut to its length; errbuf_len may be 0.
 */
MUST_USE enum err dispatch_conf_check(const struct runnel_dispatch_conf *conf,
				      const struct runnel_resilience *resilience, char *errbuf,
				      size_t errbuf_len);

/* Both were checked. */
void dispatch_conf_settings(const struct runnel_dispatch_conf *conf,
			    const struct runnel_resilience *resilience,
			    struct dispatch_settings *ret_settings);

/* conf->shards, or what 0 stands for. */
unsigned dispatch_conf_shards(const struct runnel_dispatch_conf *conf);
