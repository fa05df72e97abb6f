/* SPDX-License-Identifier: MIT */
/* Engines: their life, and what can be asked and told about them. */
#include <stdarg.h>
#include "shim.h"

unsigned int uc_version(unsigned int *major, unsigned int *minor)
{
	if (major)
		*major = UC_API_MAJOR;
	if (minor)
		*minor = UC_API_MINOR;
	return UC_API_MAJOR << 24 | UC_API_MINOR << 16 | UC_API_PATCH << 8 | UC_API_EXTRA;
}

bool uc_arch_supported(uc_arch arch) { return arch == UC_ARCH_X86; }

/* The models of libvcpu that are nearest. */
static const char *model_of(int cpu)
{
	switch (cpu) {
	case UC_CPU_X86_QEMU32: case UC_CPU_X86_KVM32: case UC_CPU_X86_PENTIUM2: case UC_CPU_X86_PENTIUM3: return "p6";
	case UC_CPU_X86_COREDUO: case UC_CPU_X86_N270: return "p6";
	case UC_CPU_X86_486: return "486";
	case UC_CPU_X86_PENTIUM: return "pentium";
	case UC_CPU_X86_ATHLON: return "k6-2";
	case UC_CPU_X86_CORE2DUO: case UC_CPU_X86_CONROE: case UC_CPU_X86_PENRYN: return "core2";
	case UC_CPU_X86_NEHALEM: case UC_CPU_X86_WESTMERE: return "nehalem";
	case UC_CPU_X86_HASWELL: case UC_CPU_X86_BROADWELL: return "haswell";
	case UC_CPU_X86_ICELAKE_CLIENT: case UC_CPU_X86_ICELAKE_SERVER: return "icelake-server";
	case UC_CPU_X86_OPTERON_G1: case UC_CPU_X86_OPTERON_G2: case UC_CPU_X86_PHENOM: return "opteron";
	case UC_CPU_X86_EPYC: case UC_CPU_X86_DHYANA: return "zen1";
	case UC_CPU_X86_EPYC_ROME: return "zen2";
	default: return "skylake-server";
	}
}

/* A processor with 46 address lines and pages of 1 GiB has all linear addresses. */
static bool is_wide(const uc_engine *uc)
{
	return uc->mode == UC_MODE_64 && strstr(model_of(uc->cpu), "-server");
}

vcpu *machine_bare(uc_engine *uc)
{
	struct vcpu_config config = { .bare = true, .cpu = model_of(uc->cpu) };
	vcpu *v = vcpu_new(&config, NULL);

	if (!v || vcpu_set_mode(v, uc->mode == UC_MODE_64 ? 64 : uc->mode == UC_MODE_32 ? 32 : 16)) {
		vcpu_free(v);
		return NULL;
	}
	vcpu_set(v, VCPU_IDTR_LIMIT, 0); /* exceptions are the caller's, in all modes */
	vcpu_set(v, VCPU_RDX, 0);        /* no signature, as after RESET */
	if (uc->mode == UC_MODE_64)
		vcpu_set(v, VCPU_EFER, vcpu_get(v, VCPU_EFER) | 1); /* SYSCALL */
	return v;
}

vcpu *machine_make(uc_engine *uc, unsigned n)
{
	vcpu *v = machine_bare(uc);

	if (v && (!is_wide(uc) || paging_start(uc, v))) {
		for (struct region *r = uc->regions; r; r = r->next)
			region_show(uc, v, r);
		uc->level[n] = (struct level){ .v = v };
		if (hooks_install(uc, n))
			return v;
		uc->level[n].v = NULL;
	}
	vcpu_free(v);
	return NULL;
}

uc_err uc_open(uc_arch arch, uc_mode mode, uc_engine **result)
{
	uc_engine *uc;

	if (arch != UC_ARCH_X86)
		return UC_ERR_ARCH;
	if (mode != UC_MODE_16 && mode != UC_MODE_32 && mode != UC_MODE_64)
		return UC_ERR_MODE;
	uc = calloc(1, sizeof *uc);
	if (!uc)
		return UC_ERR_NOMEM;
	uc->mode = mode;
	if (!machine_make(uc, 0)) {
		paging_free(uc);
		free(uc);
		return UC_ERR_RESOURCE;
	}
	*result = uc;
	return UC_ERR_OK;
}

uc_err uc_close(uc_engine *uc)
{
	if (!uc)
		return UC_ERR_HANDLE;
	if (uc->running)
		return UC_ERR_RESOURCE;
	vcpu_free(uc->level[0].v);
	free(uc->level[0].exits);
	hooks_free(uc);
	regions_free(uc);
	garbage_free(uc);
	paging_free(uc);
	free(uc->exits);
	free(uc);
	return UC_ERR_OK;
}

uc_err uc_errno(uc_engine *uc) { return uc->error; }

const char *uc_strerror(uc_err code)
{
	static const char *const texts[] = {
		[UC_ERR_OK] = "no error",
		[UC_ERR_NOMEM] = "the host has no memory, or nothing is mapped there",
		[UC_ERR_ARCH] = "this architecture is not supported",
		[UC_ERR_HANDLE] = "this is no engine",
		[UC_ERR_MODE] = "this mode is not supported",
		[UC_ERR_VERSION] = "this version is not supported",
		[UC_ERR_READ_UNMAPPED] = "read of memory that is not mapped",
		[UC_ERR_WRITE_UNMAPPED] = "write to memory that is not mapped",
		[UC_ERR_FETCH_UNMAPPED] = "fetch from memory that is not mapped",
		[UC_ERR_HOOK] = "this kind of hook is not supported",
		[UC_ERR_INSN_INVALID] = "invalid instruction",
		[UC_ERR_MAP] = "something is mapped there",
		[UC_ERR_WRITE_PROT] = "write to memory that does not allow it",
		[UC_ERR_READ_PROT] = "read of memory that does not allow it",
		[UC_ERR_FETCH_PROT] = "fetch from memory that does not allow it",
		[UC_ERR_ARG] = "invalid argument",
		[UC_ERR_READ_UNALIGNED] = "unaligned read",
		[UC_ERR_WRITE_UNALIGNED] = "unaligned write",
		[UC_ERR_FETCH_UNALIGNED] = "unaligned fetch",
		[UC_ERR_HOOK_EXIST] = "there is a hook for this event",
		[UC_ERR_RESOURCE] = "the engine is in use, or cannot be made",
		[UC_ERR_EXCEPTION] = "an exception that no hook takes",
	};

	return (unsigned)code < sizeof texts / sizeof *texts && texts[code] ? texts[code] : "unknown error";
}

uc_err uc_query(uc_engine *uc, uc_query_type type, size_t *result)
{
	switch (type) {
	case UC_QUERY_MODE: *result = (size_t)uc->mode; return UC_ERR_OK;
	case UC_QUERY_PAGE_SIZE: *result = PAGE; return UC_ERR_OK;
	case UC_QUERY_ARCH: *result = UC_ARCH_X86; return UC_ERR_OK;
	case UC_QUERY_TIMEOUT: *result = uc->timed_out; return UC_ERR_OK;
	default: return UC_ERR_ARG;
	}
}

/* ---- controls ---- */

static uc_err set_exits(uc_engine *uc, const uint64_t *exits, size_t count)
{
	uint64_t *copy;

	if (!uc->use_exits)
		return UC_ERR_ARG;
	copy = count ? malloc(count * sizeof *copy) : NULL;
	if (count && !copy)
		return UC_ERR_NOMEM;
	if (count)
		memcpy(copy, exits, count * sizeof *copy);
	free(uc->exits);
	uc->exits = copy;
	uc->exit_count = count;
	return UC_ERR_OK;
}

static uc_err get_exits(const uc_engine *uc, uint64_t *out, size_t count)
{
	if (!uc->use_exits || count < uc->exit_count)
		return UC_ERR_ARG;
	if (uc->exit_count)
		memcpy(out, uc->exits, uc->exit_count * sizeof *out);
	return UC_ERR_OK;
}

/* Before anything else was done with the engine. */
static uc_err set_model(uc_engine *uc, int cpu)
{
	vcpu *old = uc->level[0].v;
	int before = uc->cpu;

	if (cpu < 0 || cpu >= UC_CPU_X86_ENDING || uc->regions || uc->hooks || uc->running)
		return UC_ERR_ARG;
	uc->cpu = cpu;
	if (!is_wide(uc)) { /* the machine before has them mapped until it is freed */
		vcpu_free(old);
		old = NULL;
		paging_free(uc);
	}
	if (!machine_make(uc, 0)) {
		uc->cpu = before;
		uc->level[0].v = old;
		return UC_ERR_ARG;
	}
	vcpu_free(old);
	return UC_ERR_OK;
}

static uc_err read_control(uc_engine *uc, unsigned type, va_list args)
{
	switch (type) {
	case UC_CTL_UC_MODE: *va_arg(args, int *) = (int)uc->mode; return UC_ERR_OK;
	case UC_CTL_UC_PAGE_SIZE: *va_arg(args, uint32_t *) = PAGE; return UC_ERR_OK;
	case UC_CTL_UC_ARCH: *va_arg(args, int *) = UC_ARCH_X86; return UC_ERR_OK;
	case UC_CTL_UC_TIMEOUT: *va_arg(args, uint64_t *) = uc->timeout; return UC_ERR_OK;
	case UC_CTL_UC_EXITS_CNT: *va_arg(args, size_t *) = uc->exit_count; return UC_ERR_OK;
	case UC_CTL_UC_EXITS: {
		uint64_t *out = va_arg(args, uint64_t *);

		return get_exits(uc, out, va_arg(args, size_t));
	}
	case UC_CTL_CPU_MODEL: *va_arg(args, int *) = uc->cpu; return UC_ERR_OK;
	default: return UC_ERR_ARG;
	}
}

static uc_err write_control(uc_engine *uc, unsigned type, va_list args)
{
	switch (type) {
	case UC_CTL_UC_USE_EXITS:
		uc->use_exits = va_arg(args, int) != 0;
		uc->exit_count = 0;
		return UC_ERR_OK;
	case UC_CTL_UC_EXITS: {
		const uint64_t *exits = va_arg(args, uint64_t *);

		return set_exits(uc, exits, va_arg(args, size_t));
	}
	case UC_CTL_CPU_MODEL: return set_model(uc, va_arg(args, int));
	case UC_CTL_TB_REMOVE_CACHE: case UC_CTL_TB_FLUSH: return UC_ERR_OK; /* changed code is noticed anyway */
	default: return UC_ERR_ARG;
	}
}

/* Code has no blocks before it runs: the answer has the address alone. */
static uc_err request_cache(va_list args)
{
	uint64_t address = va_arg(args, uint64_t);
	uc_tb *tb = va_arg(args, uc_tb *);

	if (tb)
		*tb = (uc_tb){ .pc = address };
	return UC_ERR_OK;
}

uc_err uc_ctl(uc_engine *uc, uc_control_type control, ...)
{
	unsigned type = (unsigned)control & 0xffff, way = (unsigned)control >> 30;
	va_list args;
	uc_err error;

	va_start(args, control);
	error = type == UC_CTL_TB_REQUEST_CACHE ? way == UC_CTL_IO_READ_WRITE ? request_cache(args) : UC_ERR_ARG
		: way == UC_CTL_IO_READ ? read_control(uc, type, args)
		: way == UC_CTL_IO_WRITE ? write_control(uc, type, args) : UC_ERR_ARG;
	va_end(args);
	return error;
}
