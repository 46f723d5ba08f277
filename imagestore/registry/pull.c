/* SPDX-License-Identifier: Apache-2.0 */
/* Pulling: documents, layers, and an image made of them; from a mirror or the registry itself. */
#include "base/log.h"
#include "imagestore/arrival/prepare.h"
#include "imagestore/arrival/settle.h"
#include "imagestore/registry/policy.h"

static int get_documents(struct pull *p, const json_t *manifest, const struct digest *d,
			 struct image *i)
{
	uint64_t size = 0;
	int r;

	i->manifest = *d;
	r = manifest_parse(manifest, i);
	if (r >= 0)
		r = load_check_types(&p->l, manifest, i);
	if (r >= 0)
		r = descriptor_parse(json_get_object(manifest, "config"), "config",
				     &i->config_digest, &size);
	if (r >= 0)
		r = pull_json(p, "config", &i->config_digest, &i->config);
	if (r >= 0)
		r = platform_check_config(&p->l.platform, i->config, p->l.path);
	return r < 0 ? r : config_parse(i);
}

/* An image that goes on arriving may have been removed meanwhile. */
static int commit(struct pull *p)
{
	int r = p->o->rest ? p->o->rest->pace(p->o->rest->ctx) : 0;

	return r < 0 ? r : txn_commit(p->l.t);
}

static int make_image(struct pull *p, const struct found *f, struct image *i, struct digest *ret)
{
	struct layer_set layers = { 0 };
	struct digest d;
	uint64_t size;
	int r = descriptor_parse(f->desc, "manifest", &d, &size);

	if (r >= 0)
		r = get_documents(p, f->doc, &d, i);
	if (r >= 0 && p->o->lazy)
		r = arrival_prepare(p, f, i);
	if (r > 0) {
		*ret = d;
		return r;
	}
	if (r >= 0)
		r = layers_get(p, i, &layers);
	if (r >= 0)
		r = load_image(&p->l, f->desc, p->name.stored);
	if (r >= 0)
		r = commit(p);
	if (r >= 0)
		*ret = d;
	if (r >= 0 || r == -EBADMSG || r == -ENOSPC || r == -EDQUOT)
		layers_forget(p, &layers);
	layers_done(&layers);
	return r;
}

static int pull_image(struct pull *p, struct digest *ret)
{
	_cleanup_(found_done) struct found f = { 0 };
	struct image *i = new0(struct image);
	int r = i ? pull_find_manifest(p, &f) : -ENOMEM;

	if (r >= 0)
		r = policy_check(p->policy, p, &f);
	if (r >= 0)
		r = make_image(p, &f, i, ret);
	image_close(i);
	return r;
}

/* From one server: the registry itself or a mirror of it. */
static int pull_from(struct pull *p, const char *server, struct digest *ret)
{
	int r = registry_open(p->name.host, server, p->name.repo, &p->r);

	if (r >= 0)
		r = txn_begin(p->s, &p->l.t);
	if (r >= 0) {
		p->l.t->source = str_fmt("%s/%s", p->name.host, p->name.repo);
		r = p->l.t->source ? pull_image(p, ret) : -ENOMEM;
	}
	txn_abort(take_ptr(p->l.t));
	registry_close(take_ptr(p->r));
	digest_set_done(&p->l.wanted);
	p->l.wanted = (struct digest_set){ 0 };
	return r;
}

/* Our own disk is as full for the next server. */
static bool is_ours(int r)
{
	return r == -ENOSPC || r == -EDQUOT || r == -EROFS || r == -ENOMEM;
}

/* The mirrors in their order, then the registry itself. */
static int pull_from_any(struct pull *p, const struct registry_config *c, struct digest *ret)
{
	for (size_t i = 0; i < strv_len(c->mirrors); i++) {
		int r = pull_from(p, c->mirrors[i], ret);

		if (r >= 0 || is_ours(r))
			return r;
		log_warn("mirror %s of %s passed over: %s", c->mirrors[i], p->name.host,
			 err_take(r));
	}
	return pull_from(p, NULL, ret);
}

int image_pull(struct store *s, const char *name, const struct pull_options *o,
	       struct digest *ret_manifest)
{
	static const struct pull_options none;
	struct pull p = { .s = s, .o = o ? o : &none };
	struct registry_config c = { 0 };
	struct policy policy = { 0 };
	int r = registry_name_parse(name, &p.name);

	if (r < 0)
		return r;
	p.l = (struct load){
		.s = s,
		.path = name,
		.bounds = store_bounds_of(s, p.o->bounds),
		.platform = p.o->platform ? *p.o->platform : platform_of_host(),
		.dirfd = -1,
	};
	p.policy = &policy;
	r = registry_config_read(p.name.host, &c);
	if (r >= 0)
		r = policy_read(&p.name, &policy);
	if (r >= 0)
		r = policy_may_ask(&policy, name);
	if (r >= 0)
		r = pull_from_any(&p, &c, ret_manifest);
	if (r == 0)
		arrival_settle(s, ret_manifest);
	policy_done(&policy);
	registry_config_done(&c);
	registry_name_done(&p.name);
	return r;
}
