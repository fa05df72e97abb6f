/* SPDX-License-Identifier: MIT */
/* A machine from its configuration to its stops. machine_input() is the only way in (ARCHITECTURE.md, law 1). */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include "io/disk/disk.h"
#include "cpu/hook.h"
#include "lib/clone.h"
#include "lib/config.h"
#include "lib/past.h"
#include "lib/replay.h"

void error_write(char **error, const char *format, ...)
{
	char text[512];
	va_list ap;

	if (!error)
		return;
	va_start(ap, format);
	vsnprintf(text, sizeof text, format, ap);
	va_end(ap);
	*error = strdup(text);
}

int machine_error(struct vcpu *v, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	vsnprintf(v->error, sizeof v->error, format, ap);
	va_end(ap);
	return -1;
}

static void log_to_output(void *owner, const char *text)
{
	struct vcpu *v = owner;

	v->output(v->user, VCPU_LOG, text, strlen(text));
	machine_called(v);
}

void machine_listen(struct vcpu *v, void (*output)(void *user, enum vcpu_channel channel, const void *data, size_t len),
		    void *user)
{
	v->output = output;
	v->user = user;
	v->log = output ? (struct log){ log_to_output, v } : (struct log){ 0 };
}

bool machine_refuses(const struct vcpu *v, const char *what)
{
	if (v && v->busy)
		machine_error((struct vcpu *)v, "%s was called from a callback of the same machine", what);
			/* a text is no state */
	return !v || v->busy;
}

bool machine_observed(struct vcpu *v, const char *what)
{
	const struct hooks *h = v->cpu->all->hooks;

	if (!h || !h->current || !h->current->observer)
		return false;
	machine_error(v, "%s was called in a hook that is an observer", what);
	return true;
}

/* ---- building ---- */

/* Bytes of a configuration: the first members at least. */
enum { CONFIG_MIN = offsetof(struct vcpu_config, kernel) };

enum sized sized_copy(void *out, size_t size, size_t least, const void *in)
{
	size_t given;

	memcpy(&given, in, sizeof given);
	if (!given)
		given = size;
	if (given < least || given > SIZED_MAX)
		return SIZED_WRONG;
	for (size_t i = size; i < given; i++)
		if (((const u8 *)in)[i])
			return SIZED_UNKNOWN;
	memset(out, 0, size);
	memcpy(out, in, given < size ? given : size);
	memset(out, 0, sizeof given);
	return SIZED_OK;
}

bool machine_takes(struct vcpu *v, const char *what, void *out, size_t size, size_t least, const void *in)
{
	enum sized sized = sized_copy(out, size, least, in);

	if (sized == SIZED_WRONG)
		machine_error(v, "a struct %s has at least %zu bytes: its size", what, least);
	if (sized == SIZED_UNKNOWN)
		machine_error(v, "the struct %s has members that this version of the library has not", what);
	return sized == SIZED_OK;
}

static bool configure_memory(struct vcpu *v, u64 asked, char **error)
{
	u64 room = (u64)1 << v->model.physical_bits, top;

	v->memory = asked ? asked : MEMORY_DEFAULT < room ? MEMORY_DEFAULT : room;
	if (v->memory & (MiB - 1))
		return error_set(error, "memory of %llu bytes is not a multiple of 1 MiB",
				 (unsigned long long)v->memory);
	if (v->memory > MEMORY_MAX)
		return error_set(error, "memory of %llu MiB is more than a machine can have (%llu MiB)",
			(unsigned long long)(v->memory / MiB), (unsigned long long)(MEMORY_MAX / MiB));
	top = v->memory <= RAM_LOW_MAX ? v->memory : 4 * GiB + (v->memory - RAM_LOW_MAX);
	if (top > room)
		return error_set(error, "memory of %llu MiB is more than the %u address lines of a %s reach",
			(unsigned long long)(v->memory / MiB), v->model.physical_bits, v->model.name);
	return true;
}

static bool configure(struct vcpu *v, const struct vcpu_config *config, char **error)
{
	if (config->drives_count && !config->drives)
		return error_set(error, "%u drives at NULL", config->drives_count);
	if (config->drives_count > VCPU_DRIVES)
		return error_set(error, "%u drives are more than a machine can have (%u)", config->drives_count,
				 VCPU_DRIVES);
	if (config->loads_count > VCPU_LOADS || (config->loads_count && !config->loads))
		return error_set(error, "%u loads at %s; a machine can have %u", config->loads_count,
			config->loads ? "an address" : "NULL", VCPU_LOADS);
	if ((config->kernel_size && !config->kernel_data) || (config->initrd_size && !config->initrd_data))
		return error_set(error, "%zu bytes of %s at NULL",
				 config->kernel_data ? config->initrd_size : config->kernel_size,
				 config->kernel_data ? "an initrd" : "a kernel");
	if (!model_parse(&v->model, config->cpu, error))
		return false;
	v->config = config_write(config);
	if (!v->config)
		return error_set(error, "the host has no memory for a configuration");
	v->bare = config->bare;
	v->seed = v->clock.seed = config->seed;
	v->rtc = config->rtc ? config->rtc : 946684800; /* 2000-01-01 00:00:00 */
	v->ns_q16 = config->ns_per_instruction_q16 ? config->ns_per_instruction_q16 : 65536;
	machine_listen(v, config->output, config->user);
	if (v->ns_q16 > (u64)1000000000 << 16)
		return error_set(error, "%llu ns for an instruction is more than a second",
				 (unsigned long long)(v->ns_q16 >> 16));
	if (v->rtc >= 253402300800) /* 10000-01-01: the century register has two digits */
		return error_set(error, "the clock cannot start at %llu s: that is beyond the year 9999",
				 (unsigned long long)v->rtc);
	v->processors = config->processors ? config->processors : 1;
	if (v->processors > CPUS_MAX)
		return error_set(error, "%u processors are more than a machine can have (%u)", v->processors, CPUS_MAX);
	if (v->processors > 1 && !has(&v->model, F_APIC))
		return error_set(error, "%u processors need local APICs, which a %s has not", v->processors,
				 v->model.name);
	if (v->processors > 1 && v->bare)
		return error_set(error, "a bare machine has one processor, not %u", v->processors);
	if (config->display && strcmp(config->display, "vga") && strcmp(config->display, "none"))
		return error_set(error, "there is no display '%s', only \"vga\" and \"none\"", config->display);
	if (config->boot && config->boot[strspn(config->boot, "acdn")])
		return error_set(
			error,
			"the boot order '%s' is not of the letters a (floppy), c (disk), d (CD-ROM), n (network)",
			config->boot);
	if (!v->bare)
		return configure_memory(v, config->memory, error);
	if (config->kernel || config->kernel_data || config->initrd || config->initrd_data || config->bios)
		return error_set(error, "a bare machine boots no image: use vcpu_map and vcpu_write_physical");
	if (config->memory)
		return error_set(error, "a bare machine has no memory of its own: use vcpu_map");
	return true;
}

bool machine_add_block(struct vcpu *v, u64 base, struct ram *ram, bool lent)
{
	struct ram_block *blocks = realloc(v->blocks, (v->nblocks + 1) * sizeof *blocks);

	if (!blocks) {
		if (!lent)
			ram_free(ram);
		return false;
	}
	v->blocks = blocks;
	v->blocks[v->nblocks++] = (struct ram_block){ .base = base, .ram = ram, .lent = lent };
	ram->written = cpu_code_written;
	ram->watched = cpu_ram_watched;
	ram->owner = v->cpu;
	return true;
}

static void map_changed(void *owner)
{
	cpu_map_changed(((struct vcpu *)owner)->cpu);
}

static bool build(struct vcpu *v, const struct vcpu_config *settings, char **error)
{
	struct cpu_config config = {
		.model = &v->model,
		.mem = &v->mem,
		.io = &v->io,
		.clock = &v->clock,
		.log = &v->log,
		.ns_q16 = v->ns_q16,
		.seed = v->seed,
		.boot_time = v->rtc,
		.bare = v->bare,
		.apic = !v->bare && has(&v->model, F_APIC),
		.asked = &v->asked,
		.stitched = settings->engine != VCPU_ENGINE_INTERPRETER,
		.no_skip_waiting = settings->no_skip_waiting,
		.missing_stops = v->bare,
	};
	struct ram *ram;

	v->display = settings->display ? !strcmp(settings->display, "vga") : v->boot.bios.data != NULL;
	space_init(&v->mem);
	space_init(&v->io);
	space_set_mask(&v->mem, ((u64)1 << v->model.physical_bits) - 1);
	space_set_mask(&v->io, 0xffff);
	v->cpu = config.with = cpu_new(&config);
	for (unsigned i = 1; v->cpu && i < v->processors; i++)
		if (!cpu_new(&config))
			return error_set(error, "the host has no memory for %u processors", v->processors);
	if (!v->cpu)
		return error_set(error, "the host has no memory for a processor");
	if (settings->engine == VCPU_ENGINE_STITCHED && !blocks_stitched(v->cpu))
		return error_set(error, "there is no stitched engine: %s",
				 stitch_built ? "the host lets no code be made" : "the library was built without it");
	if (settings->engine == VCPU_ENGINE_BEST && stitch_built && !blocks_stitched(v->cpu))
		log_line(&v->log, "the host lets no code be made: the interpreter runs alone");
	v->mem.changed = map_changed;
	v->mem.owner = v;
	if (v->bare)
		return mode_add_identity(v) || error_set(error, "the host has no memory for page tables");
	ram = ram_new(v->memory);
	if (!ram)
		return error_set(error, "the host has no %llu MiB of memory to give",
				 (unsigned long long)(v->memory / MiB));
	if (machine_add_block(v, 0, ram, false) && drives_add_blocks(v) && pc_new(v, settings, error))
		return true;
	return error && *error ? false : error_set(error, "the host has no memory for the devices");
}

static bool read_boot(struct vcpu *v, const struct vcpu_config *config, const struct reach *reach,
		      const struct vcpu_template *t, char **error)
{
	if (v->bare)
		return true;
	return t ? template_boot(t, &v->boot, error) : boot_read(&v->boot, config, v->memory, reach, error);
}

/* IMAGES: those of the boot go into memory. */
static bool reset(struct vcpu *v, bool images, char **error)
{
	v->reset_wanted = false;
	observe(machine_running(v), EVENT_RESET, 0, 0, 0, true);
	if (v->pc && !pc_reset(v))
		return error_set(error, "the host has no memory for the firmware's tables");
	cpus_reset(v->cpu->all);
	if (!images)
		return true;
	return (v->boot.bios.data || v->boot.kind == IMAGE_NONE || boot_load(v, error)) && extras_load(v, error);
}

/* The caller's configuration, of whatever size. */
static bool take_config(struct vcpu_config *out, const struct vcpu_config *in, char **error)
{
	enum sized sized;

	*out = (struct vcpu_config){ 0 };
	if (!in)
		return true;
	sized = sized_copy(out, sizeof *out, CONFIG_MIN, in);
	if (sized == SIZED_WRONG)
		return error_set(error, "a configuration of %zu bytes: it has at least %zu", in->size, (size_t)CONFIG_MIN);
	return sized == SIZED_OK ||
	       error_set(error, "the configuration has members that this version of the library has not");
}

struct vcpu *machine_new(const struct vcpu_config *given, const struct reach *reach, const struct vcpu_template *t,
			 char **error)
{
	struct vcpu_config copy, *config = &copy;
	struct vcpu *v;

	if (error)
		*error = NULL;
	if (!take_config(config, given, error))
		return NULL;
	v = calloc(1, sizeof *v);
	if (!v) {
		error_write(error, "the host has no memory for a machine");
		return NULL;
	}
	v->reach = reach;
	v->confined = reach;
	if (!configure(v, config, error) || !read_boot(v, config, reach, t, error) ||
			!drives_open(v, config, error) || !build(v, config, error) || !reset(v, !t, error)) {
		vcpu_free(v);
		return NULL;
	}
	v->reach = NULL;
	return v;
}

vcpu *vcpu_new(const struct vcpu_config *config, char **error)
{
	return machine_new(config, NULL, NULL, error);
}

void vcpu_free(vcpu *v)
{
	if (!machine_refuses(v, "vcpu_free") && !family_keeps(v))
		machine_free(v);
}

void machine_free(struct vcpu *v)
{
	v->busy = 1; /* devices may have a last word */
	v->mem.changed = NULL;
	pc_free(v->pc);
	drives_close(v);
	for (unsigned n = v->cpu ? v->cpu->all->count : 0; n-- > 0;)
		cpu_free(v->cpu->all->cpu[n]);
	devices_free(v);
	for (unsigned i = 0; i < v->nblocks; i++) {
		if (!v->blocks[i].lent)
			ram_free(v->blocks[i].ram);
		free(v->blocks[i].hashes);
	}
	free(v->blocks);
	machine_free_unmapped(v);
	ram_free(v->identity);
	space_free(&v->mem);
	space_free(&v->io);
	boot_free(&v->boot);
	recorder_free(v->recorder);
	past_free(v);
	family_leave(v);
	free(v->own.page);
	free(v->config);
	free(v);
}

bool machine_reset(struct vcpu *v, char **error) { return reset(v, true, error); }

/* ---- state ---- */

static const struct field machine_fields[] = {
	FIELD(struct vcpu, clock.now, U64),
	FIELD(struct vcpu, clock.steps_at, U64),
	FIELD(struct vcpu, clock.steps, U32),
	FIELD(struct vcpu, off, BOOL),
	FIELD_END
};

unsigned machine_parts(struct vcpu *v, struct part out[PARTS_MAX])
{
	unsigned n = 0;

	out[n++] = (struct part){ "machine", v, machine_fields, NULL };
	n += cpus_parts(v->cpu->all, out + n, PARTS_MAX - n);
	if (v->pc)
		n += pc_parts(v->pc, out + n, PARTS_MAX - n);
	n += drives_parts(v, out + n);
	return n + devices_parts(v, out + n);
}

void machine_drop_writes(struct vcpu *v)
{
	for (unsigned i = 0; i < v->cpu->all->count; i++)
		tlb_drop_writes(v->cpu->all->cpu[i]);
}

void machine_loaded(struct vcpu *v)
{
	clock_sort(&v->clock);
	if (v->pc)
		pc_loaded(v->pc);
	if (v->identity && v->cpu->cr3 == v->identity_base)
		mode_fill_identity(v);
	cpus_loaded(v->cpu->all);
}

/* ---- running ---- */

void machine_attention(struct vcpu *v)
{
	machine_running(v)->stop = true;
	cpu_attention(machine_running(v));
}

static struct vcpu_stop stopped(enum vcpu_stop_reason reason, u32 code)
{
	return (struct vcpu_stop){ .reason = reason, .code = code };
}

/* Not a reason to stop: the machine is to run on. */
#define GO_ON (VCPU_STOP_MISSING + 1)

/* Is there a reason not to run at all? */
static bool stopped_before(struct vcpu *v, struct vcpu_stop *stop)
{
	struct cpus *all = v->cpu->all;

	if (v->off) {
		*stop = stopped(VCPU_STOP_POWEROFF, 0);
		return true;
	}
	v->cpu->stop = false;
	if (v->asked) {
		v->asked = false; /* what is asked for in between is this stop */
		*stop = stopped(VCPU_STOP_REQUEST, 0);
		return true;
	}
	if (all->observer && all->observer->hit) { /* in a reset, or in what asked for it */
		*stop = stopped(STOP_OBSERVED, 0);
		return true;
	}
	if (all->hooks && all->hooks->stopped) {
		*stop = (struct vcpu_stop){ .reason = VCPU_STOP_HOOK, .code = (u32)all->hooks->stopped,
					    .address = all->hooks->stopped_at };
		all->hooks->stopped = 0;
		return true;
	}
	return false;
}

/* Why the processors have stopped, or GO_ON. */
static COLD struct vcpu_stop stopped_behind(struct vcpu *v, enum cpu_stop why)
{
	struct cpu *c = v->cpu;
	enum vcpu_stop_reason news;
	char *error = NULL;

	/* What a device asked for in the last instruction comes before everything else, so that it makes no difference
	 * whether a run happened to end there. */
	if (v->off)
		return stopped(VCPU_STOP_POWEROFF, 0);
	if (v->reset_wanted) {
		if (!machine_reset(v, &error)) {
			machine_error(v, "reset: %s", error ? error : "no memory");
			free(error);
			return stopped(VCPU_STOP_HOST, 0);
		}
		return stopped(GO_ON, 0);
	}
	if (v->exit_wanted) {
		v->exit_wanted = false;
		return stopped(VCPU_STOP_DEBUG_EXIT, v->exit_code);
	}
	if (v->disk_news)
		return stopped(drives_news(v, &news) ? news : GO_ON, 0);
	switch (why) {
	case CPU_LIMIT: return stopped(VCPU_STOP_LIMIT, 0);
	case CPU_REQUEST: case CPU_QUANTUM: return stopped(GO_ON, 0);
	case CPU_OBSERVED: return stopped(STOP_OBSERVED, 0);
	case CPU_TRIPLE_FAULT: return stopped(VCPU_STOP_TRIPLE_FAULT, machine_running(v)->id);
	case CPU_DEAD_HALT: return stopped(VCPU_STOP_HALT, 0);
	case CPU_TIME: return stopped(VCPU_STOP_TIME, 0);
	case CPU_IDLE: return stopped(cpu_now(c) >= c->all->time_end || cpu_now(c) >= c->all->sleep_end ? VCPU_STOP_TIME
		: VCPU_STOP_IDLE, 0);
	case CPU_EXCEPTION:
		return (struct vcpu_stop){ .reason = VCPU_STOP_EXCEPTION, .code = c->fault.vector,
					   .address = c->fault.vector == VEC_PF ? c->cr2 : 0,
					   .error = c->fault.has_error ? c->fault.error : 0 };
	case CPU_MISSING:
		return (struct vcpu_stop){ .reason = VCPU_STOP_MISSING, .code = 1u << c->all->missing.access,
					   .address = c->all->missing.linear, .error = c->all->missing.denied,
					   .size = c->all->missing.size };
	}
	machine_error(v, "the processor stopped for no known reason");
	return stopped(VCPU_STOP_HOST, 0);
}

struct place machine_place(const struct vcpu *v)
{
	u64 rip, icount = observe_place(machine_running(v), &rip); /* exact in callbacks */

	return (struct place){ icount, clock_steps(&v->clock, icount) };
}

struct vcpu_stop machine_run(struct vcpu *v, struct place end, u64 idle_end)
{
	struct vcpu_stop stop = stopped(VCPU_STOP_LIMIT, 0);

	v->busy++;
	while (!stopped_before(v, &stop)) {
		enum cpu_stop why;

		v->clock.steps_end = end.steps;
		why = cpus_run(v->cpu->all, end.icount, idle_end);
		if (likely(why == CPU_LIMIT && !(v->off | v->reset_wanted | v->exit_wanted | v->disk_news)))
			break;
		stop = stopped_behind(v, why);
		if (stop.reason != GO_ON)
			break;
		stop = stopped(VCPU_STOP_LIMIT, 0);
	}
	v->busy--;
	return stop;
}

/* With a recorder, whose checkpoints are at places of its own. */
static COLD struct vcpu_stop run_recorded(struct vcpu *v, u64 end, u64 idle_end)
{
	u64 due;

	while ((due = recorder_due(v->recorder)) < end) {
		struct vcpu_stop stop = machine_run(v, (struct place){ due, 0 }, idle_end);

		if (stop.reason != VCPU_STOP_LIMIT)
			return stop;
		recorder_check(v->recorder, v);
	}
	return machine_run(v, (struct place){ end, 0 }, idle_end);
}

static u64 add_saturating(u64 a, u64 b) { return a + b < a ? ~(u64)0 : a + b; }

struct vcpu_stop vcpu_run(vcpu *v, uint64_t instructions)
{
	struct vcpu_stop stop = stopped(VCPU_STOP_HOST, 0);
	u64 end, idle_end;

	if (machine_refuses(v, "vcpu_run"))
		return stop;
	if (unlikely(v->unmapped != NULL))
		machine_free_unmapped(v);
	end = add_saturating(v->cpu->icount, instructions);
	idle_end = add_saturating(cpu_now(v->cpu), (u64)((unsigned __int128)instructions * v->cpu->ns_q16 >> 16));
	v->busy++;
	if (unlikely(v->recorder != NULL))
		stop = run_recorded(v, end, idle_end);
	else
		stop = machine_run(v, (struct place){ end, 0 }, idle_end);
	v->busy--;
	/* Handlers that come to nothing have passed the time, not sleep. */
	if (stop.reason == VCPU_STOP_IDLE && machine_running(v)->activity == ACTIVITY_RUN)
		stop.reason = VCPU_STOP_LIMIT;
	return stop;
}

void vcpu_stop(vcpu *v)
{
	if (v)
		v->asked = true;
}

void vcpu_limit_time(vcpu *v, uint64_t end, uint64_t sleep_end)
{
	if (!v)
		return;
	v->cpu->all->time_end = end;
	v->cpu->all->sleep_end = sleep_end;
}

const char *vcpu_stop_name(enum vcpu_stop_reason reason)
{
	static const char *const names[] = {
		[VCPU_STOP_LIMIT] = "limit",
		[VCPU_STOP_REQUEST] = "request",
		[VCPU_STOP_POWEROFF] = "poweroff",
		[VCPU_STOP_DEBUG_EXIT] = "debug-exit",
		[VCPU_STOP_TRIPLE_FAULT] = "triple-fault",
		[VCPU_STOP_HALT] = "halt",
		[VCPU_STOP_IDLE] = "idle",
		[VCPU_STOP_EXCEPTION] = "exception",
		[VCPU_STOP_DISK_FULL] = "disk-full",
		[VCPU_STOP_DISK_ERROR] = "disk-error",
		[VCPU_STOP_TIME] = "time",
		[VCPU_STOP_HOST] = "host",
		[VCPU_STOP_HOOK] = "hook",
		[VCPU_STOP_MISSING] = "missing",
	};

	return (unsigned)reason < ARRAY_LEN(names) ? names[reason] : "unknown";
}

/* ---- small questions ---- */

int machine_input(struct vcpu *v, enum vcpu_channel channel, const void *data, size_t len)
{
	int result;

	if (!v->pc)
		return machine_error(v, "a bare processor has no input");
	if (!debug_room(v, len))
		return -1;
	v->busy++;
	result = pc_input(v, channel, data, len);
	if (!result && v->debug)
		debug_input(v->debug, channel, data, len);
	if (!result && v->recorder)
		recorder_input(v->recorder, v, channel, data, len);
	v->busy--;
	return result;
}

/* Not in a callback: in the middle of an instruction there is no place at which a recording could give it again. */
int vcpu_input(vcpu *v, enum vcpu_channel channel, const void *data, size_t len)
{
	if (machine_refuses(v, "vcpu_input"))
		return -1;
	if (len && !data)
		return machine_error(v, "%zu bytes of input at NULL", len);
	return machine_input(v, channel, data ? data : "", len);
}

/* Instructions that have retired before the one that is under way, if any. */
static u64 retired(const struct vcpu *v)
{
	u64 rip;

	return observe_place(machine_running(v), &rip);
}

uint64_t vcpu_instructions(const vcpu *v) { return v ? retired(v) : 0; }
uint64_t vcpu_virtual_ns(const vcpu *v) { return v ? cpu_time_at(machine_running(v), retired(v)) : 0; }
const char *vcpu_error(const vcpu *v) { return v ? v->error : "there is no machine"; }

uint64_t vcpu_resident(const vcpu *v)
{
	u64 pages = 0;

	for (unsigned i = 0; v && i < v->nblocks; i++) {
		const struct ram *ram = v->blocks[i].ram;

		for (u64 page = 0; page < ram->size >> PAGE_SHIFT; page++)
			pages += ram->pages[page] & PAGE_KEPT;
	}
	return pages * PAGE_SIZE;
}

struct vcpu_memory vcpu_memory_counts(const vcpu *v)
{
	struct vcpu_memory m = { 0 };

	for (unsigned i = 0; v && i < v->nblocks; i++) {
		const struct ram *ram = v->blocks[i].ram;

		for (u64 page = 0; page < ram->size >> PAGE_SHIFT; page++)
			*(ram->pages[page] & PAGE_OWN ? &m.own : ram->pages[page] & PAGE_KEPT ? &m.shared : &m.zero) +=
				PAGE_SIZE;
	}
	return m;
}

uint64_t vcpu_trim(vcpu *v)
{
	u64 pages = 0;

	if (machine_refuses(v, "vcpu_trim"))
		return 0;
	for (unsigned i = 0; i < v->nblocks; i++)
		pages += ram_trim(v->blocks[i].ram);
	family_leave(v); /* what is trimmed may be otherwise in its file */
	machine_drop_writes(v);
	return pages * PAGE_SIZE;
}

struct vcpu_cache vcpu_cache_counts(const vcpu *v)
{
	struct block_counts b = { 0 };

	if (v)
		b = blocks_counts(v->cpu);
	return (struct vcpu_cache){
		.blocks_16 = b.built[MODE_16], .blocks_32 = b.built[MODE_32], .blocks_64 = b.built[MODE_64],
		.operations = b.ops, .guest_bytes = b.bytes, .single = b.single, .stitched = b.stitched,
		.host_bytes = b.code_bytes,
		.links = b.links, .stale = b.stale, .flushes = b.flushes,
	};
}

unsigned vcpu_fault_chain(const vcpu *v, struct vcpu_fault *out, unsigned max)
{
	const struct cpu *c = v ? machine_running(v) : NULL;

	if (!c || c->activity != ACTIVITY_SHUTDOWN)
		return 0;
	for (unsigned i = 0; out && i < c->chain_len && i < max; i++) {
		const struct fault_note *note = &c->chain[i];

		out[i] = (struct vcpu_fault){ .vector = note->vector, .has_error = note->has_error,
			.error = note->error,
			.cs = note->cs, .rip = note->rip, .cr2 = note->cr2, .why = note->why };
		fault_text(note, out[i].text, sizeof out[i].text);
	}
	return c->chain_len;
}

unsigned vcpu_processors(const vcpu *v) { return v ? v->cpu->all->count : 0; }
unsigned vcpu_running(const vcpu *v) { return v ? v->cpu->all->turn : 0; }

int vcpu_select(vcpu *v, unsigned n)
{
	if (!v)
		return -1;
	if (n >= v->cpu->all->count)
		return machine_error(v, "there is no processor %u: they are numbered from 0 to %u", n,
				     v->cpu->all->count - 1);
	v->selected = n;
	return 0;
}

unsigned vcpu_selected(const vcpu *v) { return v ? v->selected : 0; }

const char *const *vcpu_models(void) { return model_names; }

const char *vcpu_version(void) { return PACKAGE_VERSION; }
