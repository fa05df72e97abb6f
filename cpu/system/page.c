/* SPDX-License-Identifier: MIT */
/* Linear to physical: page walks (SDM vol. 3, chapter 4) and the TLB that remembers them. */
#include "cpu/hook.h"
#include "cpu/jump.h"
#include "cpu/system/page.h"
#include "cpu/system/vm/svm.h"
#include "cpu/system/vm/vmx.h"

enum { PTE_P = 1, PTE_W = 2, PTE_U = 4, PTE_A = 0x20, PTE_D = 0x40, PTE_PS = 0x80, PTE_G = 0x100 };
#define PTE_NX ((u64)1 << 63)

enum { PF_P = 1, PF_W = 2, PF_U = 4, PF_RSVD = 8, PF_I = 0x10, PF_PK = 0x20, PF_SS = 0x40 };

/* The result of a look-up in the tables, before rights are checked. */
enum found { FOUND, NOT_PRESENT, RESERVED_BIT, NOT_MAPPED /* by the second level: `second' says why */ };
struct walk {
	u64 linear;         /* or guest-physical, of nested page tables */
	u64 cr3, cr4, efer; /* the registers that say where the tables are, and of which format */
	const u64 *pdpte;
	bool nested;        /* the addresses in the tables are physical */
	unsigned access;    /* ACCESS_* */
	struct cpu *effects;/* whose tables get A and D flags; NULL: nobody's */
	struct second_level second; /* of the guest-physical address that was asked for last, guest_physical */
	u64 guest_physical;
	bool final;         /* which is that of the page, not of a paging-structure entry */
	bool pdptes;        /* nor of one that a linear address leads to: PDPTEs are loaded */
	u64 phys, size;     /* of LINEAR itself; of the page */
	bool shadow;        /* a page of shadow stacks: W in all levels but the last, where D is in its place */
	u64 rights;         /* AND of W and U over the levels; NX as the OR of NX */
	u64 leaf_addr, leaf;/* its guest-physical address */
	unsigned leaf_size; /* bytes of the entry: 4 or 8 */
	bool global;
	u64 entry[WALK_LEVELS]; /* address of the entry of each level that was used; 0 is the lowest */
	unsigned first, last;   /* levels */
	u64 path[5];        /* guest-physical, of entries above the leaf that were used and have no A bit yet */
	unsigned levels;    /* how many */
};

static struct walk walk_begin(const struct cpu *c, u64 linear, unsigned access, struct cpu *effects)
{
	return (struct walk){ .linear = linear, .access = access, .effects = effects, .cr3 = c->cr3, .cr4 = c->cr4,
			      .efer = c->efer, .pdpte = c->pdpte, .second.write = true };
}

static struct second_level second_level(struct cpu *c, u64 guest, enum access kind, bool user, bool entry,
					bool effects);

/* Where in the machine's memory the guest-physical address GUEST is: of the page in the end, or of a paging-structure
 * entry, whose A flag may be set, so that the second level may count it as written. All of them are asked for here.
 * False: the second level of paging does not map it. */
static bool physical(const struct cpu *c, struct walk *w, u64 guest, bool final, u64 *out)
{
	*out = guest;
	if (likely(!second_level_on(c)) || w->nested)
		return true;
	w->second = second_level((struct cpu *)c, guest, final ? (enum access)(w->access & 3)
				 : second_level_writes_entries(c) ? ACCESS_WRITE : ACCESS_READ, w->rights & PTE_U,
				 !final, w->effects);
	w->guest_physical = guest;
	w->final = final;
	*out = w->second.physical;
	return !w->second.refused;
}

static u64 entry_read(const struct cpu *c, u64 addr, unsigned size)
{
	const u8 *host = space_ram(c->mem, addr & c->mem->mask, size, NULL);
	u8 image[8];

	if (unlikely(!host)) {
		space_peek(c->mem, addr, image, size);
		host = image;
	}
	return size == 4 ? get32(host) : get64(host);
}

/* Bits of a physical address that the model lacks; entries that set them are reserved (SDM vol. 3, 4.4.2, 4.5). */
static u64 beyond_physical(const struct cpu *c)
{
	return ((u64)1 << 52) - ((u64)1 << c->model->physical_bits);
}

/* Reserved bits of an entry that maps 4 MBytes: its bits 13 up are address bits 32 up to MAXPHYADDR or 40, with PSE-36
 * (table 4-4). */
static u32 large_reserved(const struct cpu *c)
{
	unsigned width = !has(c->model, F_PSE36) ? 32 : c->model->physical_bits < 40 ? c->model->physical_bits : 40;

	return 0x3fffff & ~((1u << (width - 19)) - 1);
}

/* Two-level paging with 4-byte entries (4.3). */
static enum found walk_32(const struct cpu *c, u64 linear, struct walk *w)
{
	u64 guest = (w->cr3 & 0xfffff000) | bits(linear, 31, 22) << 2, addr, e;

	w->leaf_size = 4;
	w->levels = 0;
	if (!physical(c, w, guest, false, &addr))
		return NOT_MAPPED;
	e = entry_read(c, addr, 4);
	w->first = w->last = 1;
	w->entry[1] = addr;
	if (!(e & PTE_P))
		return NOT_PRESENT;
	if ((e & PTE_PS) && (w->cr4 & CR4_PSE)) {
		if (e & large_reserved(c))
			return RESERVED_BIT;
		w->rights = e & (PTE_W | PTE_U);
		w->shadow = (e & (PTE_W | PTE_D)) == PTE_D;
		w->phys = (e & 0xffc00000) | bits(e, 20, 13) << 32 | (linear & 0x3fffff);
		w->size = 4 * MiB;
		w->leaf_addr = guest;
		w->leaf = e;
		w->global = e & PTE_G;
		return FOUND;
	}
	if (!(e & PTE_A))
		w->path[w->levels++] = guest;
	w->rights = e & (PTE_W | PTE_U);
	guest = (e & 0xfffff000) | bits(linear, 21, 12) << 2;
	if (!physical(c, w, guest, false, &addr))
		return NOT_MAPPED;
	w->last = 0;
	w->entry[0] = addr;
	e = entry_read(c, addr, 4);
	if (!(e & PTE_P))
		return NOT_PRESENT;
	w->shadow = w->rights & PTE_W && (e & (PTE_W | PTE_D)) == PTE_D;
	w->rights &= e;
	w->phys = (e & 0xfffff000) | (linear & 0xfff);
	w->size = PAGE_SIZE;
	w->leaf_addr = guest;
	w->leaf = e;
	w->global = e & PTE_G;
	return FOUND;
}

/* With nested paging they are not loaded with CR3, but read by each walk (APM vol. 2, 15.25.10). */
static bool pdptes_stay_in_memory(const struct cpu *c) { return svm_guest(c) && c->svm->nested; }

/* Paging with 8-byte entries: PAE (4.4), 4-level and 5-level (4.5). */
static enum found walk_64(const struct cpu *c, u64 linear, struct walk *w)
{
	u64 reserved = beyond_physical(c) | (w->efer & EFER_NXE ? 0 : PTE_NX);
	u64 table, nx = 0;
	int level;

	w->leaf_size = 8;
	w->levels = 0;
	w->rights = PTE_W | PTE_U;
	if (w->efer & EFER_LMA) {
		table = w->cr3 & 0xffffffffff000 & ~beyond_physical(c);
		level = w->cr4 & CR4_LA57 ? 4 : 3;
	} else {
		u64 pdpte = w->pdpte[bits(linear, 31, 30)], addr;

		if (unlikely(pdptes_stay_in_memory(c)) && !w->nested) {
			if (!physical(c, w, (w->cr3 & 0xffffffe0) + 8 * bits(linear, 31, 30), false, &addr))
				return NOT_MAPPED;
			pdpte = entry_read(c, addr, 8);
		}
		if (!(pdpte & PTE_P))
			return NOT_PRESENT;
		if (!pdpte_valid(c, pdpte))
			return RESERVED_BIT;
		table = pdpte & 0xffffffffff000;
		level = 1;
		reserved |= (u64)0x7ff << 52; /* bits 62-52 are reserved in PAE paging */
	}
	for (w->first = (unsigned)level;; level--) {
		unsigned shift = 12 + 9 * level;
		u64 guest = table | bits(linear, shift + 8, shift) << 3, addr, e;

		if (!physical(c, w, guest, false, &addr))
			return NOT_MAPPED;
		e = entry_read(c, addr, 8);
		w->entry[level] = addr;
		w->last = (unsigned)level;
		if (!(e & PTE_P))
			return NOT_PRESENT;
		if (e & reserved || (level >= 3 && w->nested && e & PTE_G)) /* (APM vol. 2, figure 5-20) */
			return RESERVED_BIT;
		nx |= e & PTE_NX;
		w->shadow = w->rights & PTE_W && (e & (PTE_W | PTE_D)) == PTE_D;
		w->rights &= e | PTE_NX;
		if (level == 0 || (e & PTE_PS)) {
			u64 size = (u64)1 << shift;

			if (level >= 3 || (level == 2 && !has(c->model, F_PDPE1GB)))
				return RESERVED_BIT;
			if (level && (e & (size - 1) & ~(u64)0x1fff)) /* bit 12 is PAT in a large page */
				return RESERVED_BIT;
			w->phys = (e & 0xffffffffff000 & ~(size - 1)) | (linear & (size - 1));
			w->size = size;
			w->leaf_addr = guest;
			w->leaf = e;
			w->global = e & PTE_G;
			w->rights |= nx;
			return FOUND;
		}
		if (unlikely(!(e & PTE_A)))
			w->path[w->levels++] = guest;
		table = e & 0xffffffffff000;
	}
}

static void forget_page(struct cpu *c, u64 linear);

/* It also makes the processor forget what it knew of that page (4.10.4.1). */
static bool page_fault(struct cpu *c, u64 linear, u32 error)
{
	forget_page(c, linear);
	c->guest_cr2 = c->cr2;
	c->cr2 = linear;
	return fault_error(c, VEC_PF, error);
}

void page_absent(struct cpu *c, u64 linear, bool write)
{
	page_fault(c, linear, (write ? PF_W : 0) | (c->cpl == 3 ? PF_U : 0));
}

/* The second level does not map what the walk W has asked for. */
static bool not_mapped(struct cpu *c, const struct walk *w)
{
	forget_page(c, w->linear);
	return second_level_exits(c, &w->second, w->guest_physical, w->linear, w->final, w->pdptes);
}

/* In the entry at guest-physical GUEST, which the walk has read. False: it cannot be written. */
static bool set_bits(struct cpu *c, struct walk *w, u64 guest, unsigned size, u64 set)
{
	u64 addr = guest, e;

	if (unlikely(second_level_on(c)) && !w->nested) {
		w->second = second_level(c, guest, ACCESS_WRITE, false, true, true);
		w->guest_physical = guest;
		w->final = false;
		addr = w->second.physical;
		if (w->second.refused)
			return not_mapped(c, w);
	}
	e = entry_read(c, addr, size);
	if ((e & set) == set)
		return true;
	if (unlikely(c->watch != NULL))
		watch_store(c, NULL, addr & c->mem->mask, size);
	space_write(c->mem, addr, size, e | set);
	return true;
}

static bool paging(const struct cpu *c) { return c->cr0 & CR0_PG; }

static enum found walk(const struct cpu *c, u64 linear, struct walk *w)
{
	return w->cr4 & CR4_PAE ? walk_64(c, linear, w) : walk_32(c, linear, w);
}

/* What the protection key of a page forbids to data accesses (SDM vol. 3, 4.6.2): bits 62-59 of the leaf name it.
 *    PKRU, and IA32_PKRS for pages of supervisors: bit 2n AD (no access) | bit 2n + 1 WD (no writes; supervisors
 *    obey that with CR0.WP) */
enum { KEY_READ = 1, KEY_WRITE = 2 };
static unsigned key_denies(const struct cpu *c, const struct walk *w, bool user)
{
	bool user_page = w->rights & PTE_U;
	unsigned ad_wd;

	if (!(c->cr4 & (user_page ? CR4_PKE : CR4_PKS)) || !(c->efer & EFER_LMA))
		return 0;
	ad_wd = (user_page ? c->pkru : c->pkrs) >> 2 * bits(w->leaf, 62, 59) & 3;
	return ad_wd & 1 ? KEY_READ | KEY_WRITE : ad_wd && (user || c->cr0 & CR0_WP) ? KEY_WRITE : 0;
}

void write_pkru(struct cpu *c, u32 v)
{
	if (v == c->pkru)
		return;
	c->pkru = v;
	if (c->cr4 & CR4_PKE)
		tlb_flush(c, true);
}

/* Rights (SDM vol. 3, 4.6.1). */
static bool allowed(const struct cpu *c, const struct walk *w, unsigned access, bool user, bool nx_on)
{
	bool write = (access & 3) == ACCESS_WRITE, fetch = (access & 3) == ACCESS_FETCH, user_page = w->rights & PTE_U;

	if (access & ACCESS_SHADOW)
		return w->shadow && user == user_page;
	if (fetch && nx_on && (w->rights & PTE_NX))
		return false;
	if (user)
		return user_page && (!write || (w->rights & PTE_W));
	if (user_page && fetch && (c->cr4 & CR4_SMEP))
		return false;
	if (user_page && !fetch && (c->cr4 & CR4_SMAP) && (access & ACCESS_SYSTEM || !(c->eflags & FL_AC)))
		return false;
	return !write || (w->rights & PTE_W) || !(c->cr0 & CR0_WP);
}

static bool set_accessed(struct cpu *c, struct walk *w, bool write)
{
	for (unsigned i = 0; i < w->levels; i++)
		if (!set_bits(c, w, w->path[i], w->leaf_size, PTE_A))
			return false;
	return (w->leaf & PTE_A && (!write || w->leaf & PTE_D)) ||
	       set_bits(c, w, w->leaf_addr, w->leaf_size, PTE_A | (write ? PTE_D : 0));
}

/* Nested page tables (APM vol. 2, 15.25): the host's format, and all accesses are a user's. Its error
 * code is that of #PF. */
static struct second_level nested_walk(struct cpu *c, u64 guest, enum access kind, bool effects, struct walk *w)
{
	const struct svm *v = c->svm;
	bool write = kind == ACCESS_WRITE, nx_on = v->host_efer & EFER_NXE && v->host_cr4 & CR4_PAE;
	bool told = nx_on || v->host_cr4 & CR4_SMEP;
	u64 pdpte[4], error = PF_U | (write ? PF_W : 0) | (kind == ACCESS_FETCH && told ? PF_I : 0);
	bool wide = v->host_efer & EFER_LMA;
	enum found found;

	*w = (struct walk){ .linear = guest, .access = kind, .effects = effects ? c : NULL, .cr3 = v->ncr3,
			    .cr4 = v->host_cr4, .efer = v->host_efer, .pdpte = pdpte, .nested = true };
	for (unsigned i = 0; i < 4 && !wide && v->host_cr4 & CR4_PAE; i++)
		pdpte[i] = entry_read(c, (v->ncr3 & 0xffffffe0) + 8 * i, 8);
	found = guest >> (!wide ? 32 : v->host_cr4 & CR4_LA57 ? 57 : 48) ? NOT_PRESENT : walk(c, guest, w);
	if (found != FOUND)
		error |= found == RESERVED_BIT ? PF_P | PF_RSVD : 0;
	else if (!allowed(c, w, kind, true, nx_on))
		error |= PF_P;
	else if (!effects || set_accessed(c, w, write))
		return (struct second_level){ .physical = w->phys, .write = w->rights & PTE_W &&
									   (write || w->leaf & PTE_D) };
	return (struct second_level){ .refused = true, .qualification = error };
}

/* The entry of the walk T that denies KIND, and why. */
static const char *nested_denial(const struct cpu *c, enum access kind, struct second_level_trace *t)
{
	for (t->culprit = 0; t->culprit < t->count; t->culprit++) {
		u64 e = t->entry[t->culprit];

		if (!(e & PTE_U))
			return "is the supervisor's, and all accesses of a guest are a user's (15.25.5)";
		if (kind == ACCESS_WRITE && !(e & PTE_W))
			return "lacks write permission";
		if (kind == ACCESS_FETCH && c->svm->host_efer & EFER_NXE && e & PTE_NX)
			return "forbids execution";
	}
	t->culprit--;
	return NULL;
}

void nested_trace(struct cpu *c, u64 guest, enum access kind, struct second_level_trace *t)
{
	struct walk w;
	struct second_level end = nested_walk(c, guest, kind, false, &w);

	*t = (struct second_level_trace){ 0 };
	if (!w.leaf_size || !w.entry[w.last]) {
		t->why = w.leaf_size ? "the page-directory-pointer entry is not present or not valid (15.25.10)"
				     : "the address is wider than the tables map (15.25)";
		return;
	}
	for (unsigned level = w.first + 1; level-- > w.last;) {
		t->at[t->count] = w.entry[level];
		t->entry[t->count++] = entry_read(c, w.entry[level], w.leaf_size);
	}
	t->culprit = t->count - 1;
	if (!end.refused)
		return;
	t->why = !(t->entry[t->culprit] & PTE_P) ? "is not present"
		 : end.qualification & PF_RSVD   ? "has a reserved bit set"
						 : nested_denial(c, kind, t);
}

/* USER: in the end, to a user-mode linear address. ENTRY: GUEST is a paging-structure entry. */
static struct second_level second_level(struct cpu *c, u64 guest, enum access kind, bool user, bool entry, bool effects)
{
	struct walk w;
	struct second_level s = svm_guest(c) ? nested_walk(c, guest, kind, effects, &w)
					     : ept_walk(c, guest, kind, user, effects);

	/* AVIC (15.29.4): the page of the guest's APIC must be mapped, and its backing page is in its place. */
	if (unlikely(avic_on(c)) && !x2avic_on(c) && !s.refused && !entry &&
	    (guest & PAGE_MASK) == (vmcb_get(c, c->svm->vmcb, VMCB_AVIC_APIC_BAR) & 0xffffffffff000))
		s.physical = avic_backing_page(c) | (guest & ~PAGE_MASK);
	if (vmx_guest(c) && entry && kind == ACCESS_WRITE)
		s.qualification |= s.refused; /* an update reads, too */
	if (unlikely(!s.refused && entry && vmx_apic_page(c, s.physical))) { /* table 27-6 */
		s.refused = true;
		s.reason = VMEXIT_APIC_ACCESS;
		s.qualification = c->vmx->vectoring ? 10 << 12 : 15 << 12;
	}
	return s;
}

static struct translation refused(struct cpu *c, u64 linear, u32 error)
{
	return (struct translation){ .ok = page_fault(c, linear, error) };
}

struct translation page_walk(struct cpu *c, u64 linear, unsigned access)
{
	bool user = (c->cpl == 3 || access & ACCESS_SHADOW) && !(access & ACCESS_SYSTEM);
	bool write = (access & 3) == ACCESS_WRITE, fetch = (access & 3) == ACCESS_FETCH;
	bool nx_on = (c->efer & EFER_NXE) && (c->cr4 & CR4_PAE);
	u32 error = (write ? PF_W : 0) | (user ? PF_U : 0) | (fetch && (nx_on || (c->cr4 & CR4_SMEP)) ? PF_I : 0) |
		    (access & ACCESS_SHADOW ? PF_SS : 0);
	struct walk w = walk_begin(c, linear, access, c);
	unsigned denied;
	enum found found;
	u64 phys;

	c->walks++;
	if (!paging(c)) {
		bool ok;

		w.rights = PTE_U; /* no entry says otherwise */
		ok = physical(c, &w, linear, true, &phys) || not_mapped(c, &w);
		return (struct translation){
			.ok = ok, .phys = phys, .page_size = PAGE_SIZE, .writable = w.second.write
		};
	}
	found = walk(c, linear, &w);
	if (unlikely(found == NOT_MAPPED))
		return (struct translation){ .ok = not_mapped(c, &w) };
	if (found != FOUND)
		return refused(c, linear, error | (found == RESERVED_BIT ? PF_P | PF_RSVD : 0));
	denied = key_denies(c, &w, user);
	if (!fetch && denied & (write ? KEY_WRITE : KEY_READ))
		return refused(c, linear, error | PF_P | PF_PK);
	if (!allowed(c, &w, access, user, nx_on))
		return refused(c, linear, error | PF_P);
	if (!set_accessed(c, &w, write))
		return (struct translation){ .ok = false };
	if (!physical(c, &w, w.phys, true, &phys))
		return (struct translation){ .ok = not_mapped(c, &w) };
	return (struct translation){
		.ok = true, .phys = phys, .page_size = w.size, .global = w.global && (c->cr4 & CR4_PGE),
		.writable = (write || (w.leaf & PTE_D)) && ((w.rights & PTE_W) || (!user && !(c->cr0 & CR0_WP))) &&
		!(denied & KEY_WRITE) && w.second.write,
	};
}

/* The TLB has no entries of shadow stacks: each access walks. */
bool shadow_translate(struct cpu *c, u64 linear, bool write, bool user, u64 *phys)
{
	unsigned access = (write ? ACCESS_WRITE : ACCESS_READ) | ACCESS_SHADOW | (user ? 0 : ACCESS_SYSTEM);
	struct translation t;

	if (unlikely(c->cr4 & CR4_LASS) && lass_denies(c, linear, access))
		return gp_because(c, 0, "LASS keeps this half of the addresses from it (4.2.1)");
	t = page_walk(c, linear, access);
	*phys = t.phys & c->mem->mask;
	return t.ok;
}

/* Addresses with bit 63 are the supervisor's, the others the user's. Of data, the supervisor is kept from them by SMAP
 * only. */
bool lass_denies(const struct cpu *c, u64 linear, unsigned access)
{
	bool user = (c->cpl == 3 || access & ACCESS_SHADOW) && !(access & ACCESS_SYSTEM), high = linear >> 63;

	if (!in_long(c) || user == !high)
		return false;
	if (user || (access & 3) == ACCESS_FETCH)
		return true;
	return c->cr4 & CR4_SMAP && (access & (ACCESS_SYSTEM | ACCESS_SHADOW) || !(c->eflags & FL_AC));
}

bool page_peek(const struct cpu *c, u64 linear, u64 *phys)
{
	struct walk w = walk_begin(c, linear, ACCESS_READ, NULL);

	if (in_long(c) ? !canonical(c, linear) : linear >> 32) /* there is no such address */
		return false;
	if (!paging(c))
		return physical(c, &w, linear, true, phys);
	return walk(c, linear, &w) == FOUND && physical(c, &w, w.phys, true, phys);
}

bool page_second_level(const struct cpu *c, u64 guest, u64 *phys)
{
	struct walk w = walk_begin(c, 0, ACCESS_READ, NULL);

	return physical(c, &w, guest, true, phys);
}

bool second_level_translate(struct cpu *c, u64 guest, u64 *phys)
{
	struct walk w = walk_begin(c, 0, ACCESS_WRITE, c);

	return physical(c, &w, guest, true, phys) || not_mapped(c, &w);
}

bool pdpte_valid(const struct cpu *c, u64 e)
{
	return !(e & PTE_P) || !(e & (beyond_physical(c) | 0xfff0000000000000 | 0x1e6));
}

bool page_load_pdptes(struct cpu *c, u64 cr3)
{
	u64 e[4], addr;
	struct walk w = walk_begin(c, 0, ACCESS_READ, c);

	if (pdptes_stay_in_memory(c))
		return true;
	if (!physical(c, &w, cr3 & 0xffffffe0, false, &addr)) {
		w.pdptes = true;
		return not_mapped(c, &w);
	}
	for (unsigned i = 0; i < 4; i++) {
		e[i] = entry_read(c, addr + 8 * i, 8);
		if (!pdpte_valid(c, e[i]))
			return gp_because(
				c, 0, "an entry of the page-directory-pointer table has a reserved bit set (4.4.1)");
	}
	memcpy(c->pdpte, e, sizeof e);
	return true;
}

/* ---- the TLB ---- */

static void granules_clear(struct view *v)
{
	if (unlikely(v->granules))
		memset(v->granule, 0xff, sizeof v->granule); /* TLB_NONE */
	v->granules = false;
}

static void tags_clear(struct view *v, unsigned n)
{
	v->tlb[n].read = v->tlb[n].write = TLB_NONE;
	v->hooked[n] = 0;
	granules_clear(v);
}

static void slot_clear(struct view *v, unsigned n)
{
	tags_clear(v, n);
	v->tlb[n].valid = v->code[n].valid = TLB_NONE;
}

static void walked_clear(struct view *v) { v->walked[ACCESS_READ].page = v->walked[ACCESS_WRITE].page = TLB_NONE; }

/* View I of all that there are; NULL behind the last. */
static struct view *any_view(const struct cpu *c, unsigned i)
{
	return i < VIEWS ? &c->bank[0][i] : i < 2 * VIEWS && c->bank[1] ? &c->bank[1][i - VIEWS] : NULL;
}

static bool holds(u64 entry, u64 page, u64 flags)
{
	return entry != TLB_NONE && (entry & (PAGE_MASK | flags)) == (page | flags);
}

/* Entry N becomes valid, of a page with the VALID_* FLAGS. */
static void slot_list(struct view *v, unsigned n, u64 flags)
{
	if (!v->listed[n])
		v->used[v->nused++] = (u16)n;
	v->listed[n] |= LISTED | (flags & VALID_GLOBAL ? 0 : LISTED_LOCAL) | (flags & VALID_SIZE ? LISTED_LARGE : 0);
	v->large |= (flags & VALID_SIZE) != 0;
}

static void jumps_clear(struct view *v)
{
	for (unsigned i = 0; i < v->njumps; i++)
		v->jump[v->jumped[i]].key = NO_JUMP;
	v->njumps = 0;
}

/* Of the jumps of V, forget those to pages that CODE knows no more. */
static void jumps_prune(struct view *v, const struct view *code)
{
	unsigned kept = 0;

	for (unsigned i = 0; i < v->njumps; i++) {
		struct jump *j = &v->jump[v->jumped[i]];
		u64 page = jump_page(j->key);

		if (holds(code->code[page >> PAGE_SHIFT & (TLB_SIZE - 1)].valid, page, 0))
			v->jumped[kept++] = v->jumped[i];
		else
			j->key = NO_JUMP;
	}
	v->njumps = kept;
}

void jumps_flush(struct cpu *c)
{
	struct view *v;

	for (unsigned i = 0; (v = any_view(c, i)) != NULL; i++)
		jumps_clear(v);
}

/* An entry of code is no longer valid. Views with EFLAGS.AC jump to what the ones without know. */
static void code_lost(struct view *views)
{
	static const u8 code[VIEWS] = { [VIEW_USER] = VIEW_USER,
					[VIEW_SLOW] = VIEW_USER,
					[VIEW_SUPERVISOR] = VIEW_SUPERVISOR,
					[VIEW_SMAP_AC] = VIEW_SUPERVISOR };

	for (int i = 0; i < VIEWS; i++)
		jumps_prune(&views[i], &views[code[i]]);
}

static bool slot_is_global(const struct view *v, unsigned n)
{
	const u64 *data = &v->tlb[n].valid, *code = &v->code[n].valid;

	return (*data == TLB_NONE || *data & VALID_GLOBAL) && (*code == TLB_NONE || *code & VALID_GLOBAL);
}

static void flush(struct view *views, bool globals)
{
	for (int i = 0; i < VIEWS; i++) {
		struct view *v = &views[i];
		unsigned kept = 0;

		walked_clear(v);
		if (globals)
			jumps_clear(v);
		for (unsigned k = 0; k < v->nused; k++) {
			unsigned n = v->used[k];

			if (!globals && (!(v->listed[n] & LISTED_LOCAL) || slot_is_global(v, n))) {
				v->used[kept++] = (u16)n;
				continue;
			}
			slot_clear(v, n);
			v->listed[n] = 0;
		}
		v->nused = kept;
		v->large &= kept != 0;
	}
	if (!globals)
		code_lost(views);
}

void tlb_flush(struct cpu *c, bool globals) { flush(c->views, globals); }

void tlb_forget_guests(struct cpu *c)
{
	if (c->bank[1])
		flush(c->bank[1], true);
}

void tlb_forget(struct cpu *c)
{
	flush(c->bank[0], true);
	tlb_forget_guests(c);
	memset(c->left, 0, sizeof c->left);
	c->views = c->bank[vmx_nonroot(c) && c->vmx->controls.secondary & SEC_VPID];
}

/* ---- hosts and guests ---- */

static struct tlb_space space_now(const struct cpu *c)
{
	const u32 controls = SEC_APIC_ACCESS | SEC_EPT | SEC_MBEC;
	struct tlb_space s = {
		.cr0 = c->cr0 & (CR0_PG | CR0_PE | CR0_WP), .cr3 = c->cr3, .efer = c->efer & (EFER_NXE | EFER_LMA),
		.cr4 = c->cr4 & (CR4_PSE | CR4_PAE | CR4_PGE | CR4_LA57 | CR4_PCIDE | CR4_SMEP | CR4_SMAP |
			      CR4_PKE | CR4_PKS | CR4_LASS | CR4_CET),
		.pkru = c->pkru | (u64)c->pkrs << 32, .dr = { c->dr[0], c->dr[1], c->dr[2], c->dr[3], c->dr[7] },
	};

	memcpy(s.pdpte, c->pdpte, sizeof s.pdpte);
	if (vmx_nonroot(c)) {
		s.vpid = vmcs_get(c, VMCS_VPID) | (u64)(c->vmx->controls.secondary & controls) << 32;
		s.eptp = c->vmx->controls.eptp;
		s.apic_access = c->vmx->controls.apic_access;
	}
	return s;
}

void tlb_leave(struct cpu *c) { c->left[c->views != c->bank[0]] = space_now(c); }

void tlb_enter(struct cpu *c, unsigned bank, bool keep)
{
	struct tlb_space now = space_now(c);

	c->views = c->bank[bank];
	update_view(c);
	if (!keep || memcmp(&now, &c->left[bank], sizeof now) != 0)
		tlb_flush(c, true);
}

/* The empty TLB of a new processor. */
void tlb_init(struct cpu *c)
{
	struct view *v;

	for (unsigned i = 0; (v = any_view(c, i)) != NULL; i++) {
		v->granules = true;
		for (unsigned n = 0; n < TLB_SIZE; n++)
			slot_clear(v, n);
		walked_clear(v);
		for (unsigned n = 0; n < ARRAY_LEN(v->jump); n++)
			v->jump[n].key = NO_JUMP;
		v->nused = v->njumps = 0;
	}
}

/* True: there was an entry of code, and code_lost is due. */
static bool forget(struct view *v, unsigned n)
{
	bool code = v->code[n].valid != TLB_NONE;

	slot_clear(v, n); /* stays in `used': harmless */
	return code;
}

static void forget_page(struct cpu *c, u64 linear)
{
	unsigned n = linear >> PAGE_SHIFT & (TLB_SIZE - 1);
	bool code = false;

	for (int i = 0; i < VIEWS; i++) {
		struct view *v = &c->views[i];

		if (holds(v->tlb[n].valid, linear & PAGE_MASK, 0) || holds(v->code[n].valid, linear & PAGE_MASK, 0))
			code |= forget(v, n);
	}
	if (code)
		code_lost(c->views);
}

/* An entry covers 4 KiB of what may be a larger page: is LINEAR in that? */
static bool is_piece_of(u64 entry, u64 linear)
{
	static const u8 shift[] = { 12, 21, 22, 30 };

	return entry != TLB_NONE && (entry ^ linear) >> shift[(entry & VALID_SIZE) >> 3] == 0;
}

void tlb_flush_page(struct cpu *c, u64 linear)
{
	bool code = false;

	forget_page(c, linear);
	for (int i = 0; i < VIEWS; i++) {
		struct view *v = &c->views[i];

		for (unsigned k = 0; k < v->nused && v->large; k++) {
			unsigned n = v->used[k];

			if (v->listed[n] & LISTED_LARGE &&
			    (is_piece_of(v->tlb[n].valid, linear) || is_piece_of(v->code[n].valid, linear)))
				code |= forget(v, n);
		}
	}
	if (code)
		code_lost(c->views);
}

void tlb_protect(struct cpu *c, u64 phys)
{
	struct view *v;

	phys &= PAGE_MASK;
	for (unsigned i = 0; (v = any_view(c, i)) != NULL; i++) {
		for (unsigned k = 0; k < v->nused; k++)
			if (v->phys[v->used[k]] == phys) {
				v->tlb[v->used[k]].write = TLB_NONE;
				v->hooked[v->used[k]] &= (u8)~HOOKED_WRITE;
				granules_clear(v);
			}
	}
}

void tlb_protect_granules(struct cpu *c, unsigned offset, unsigned len)
{
	struct view *v;

	for (unsigned i = 0; (v = any_view(c, i)) != NULL; i++)
		for (unsigned n = offset / GRANULE; v->granules && n <= (offset + len - 1) / GRANULE; n++)
			v->granule[n].tag = TLB_NONE;
}

void tlb_learn_granule(struct cpu *c, u64 linear, const u8 *host)
{
	c->view->granule[linear / GRANULE % GRANULES] = (struct granule){
		linear & ~(u64)(GRANULE - 1), (u64)(uintptr_t)host - linear };
	c->view->granules = true;
}

void tlb_drop_writes(struct cpu *c)
{
	struct view *v;

	for (unsigned i = 0; (v = any_view(c, i)) != NULL; i++) {
		for (unsigned k = 0; k < v->nused; k++) {
			v->tlb[v->used[k]].write = TLB_NONE;
			v->hooked[v->used[k]] &= (u8)~HOOKED_WRITE;
		}
		granules_clear(v);
	}
}

void tlb_drop_tags(struct cpu *c)
{
	struct view *v;

	for (unsigned i = 0; (v = any_view(c, i)) != NULL; i++)
		for (unsigned k = 0; k < v->nused; k++)
			tags_clear(v, v->used[k]);
}

enum { SLOT_WORDS = 5 };
static void slot_words(const struct view *v, unsigned n, u64 out[SLOT_WORDS])
{
	u64 data = v->tlb[n].valid, code = v->code[n].valid;

	memcpy(out, (u64[]){ n, data, data == TLB_NONE ? 0 : v->phys[n], code, code == TLB_NONE ? 0 : v->code[n].phys },
	       SLOT_WORDS * sizeof *out);
}

static unsigned used(const struct view *views)
{
	unsigned n = 0;

	for (int i = 0; views && i < VIEWS; i++)
		n += views[i].nused;
	return n;
}

unsigned tlb_used(const struct cpu *c) { return used(c->bank[0]) + used(c->bank[1]); }

/* Does it matter that there are two banks? */
static bool both_count(const struct cpu *c) { return c->views != c->bank[0] || used(c->bank[1]); }

static unsigned save(const struct view *views, u64 *out)
{
	unsigned n = 0;

	for (int i = 0; i < VIEWS; i++) {
		const struct view *v = &views[i];

		out[n++] = v->nused;
		for (unsigned k = 0; k < v->nused; k++, n += SLOT_WORDS)
			slot_words(v, v->used[k], out + n);
	}
	return n;
}

/* For each view: how many entries, then index, data page, its physical page, code page, its physical page. If the other
 * bank counts: what the banks were of when they were left, then that bank's views. */
unsigned tlb_save(const struct cpu *c, u64 *out)
{
	unsigned n = save(c->bank[0], out);

	if (!both_count(c))
		return n;
	memcpy(out + n, c->left, sizeof c->left);
	n += 2 * TLB_SPACE_WORDS;
	return n + save(c->bank[1], out + n);
}

/* What is behind the views that IN, which ends at END, has. */
static const u64 *load(const struct cpu *c, struct view *views, const u64 *in, const u64 *end)
{
	for (int i = 0; i < VIEWS && in < end; i++) {
		struct view *v = &views[i];
		u64 n = *in++;

		for (; n && end - in >= SLOT_WORDS; n--, in += SLOT_WORDS) {
			unsigned at = in[0] & (TLB_SIZE - 1);
			u64 mask = c->mem->mask & PAGE_MASK;

			slot_list(v, at, VALID_SIZE); /* it may be of any kind */
			v->tlb[at].valid = in[1];
			v->phys[at] = in[2] & mask;
			v->code[at] = (struct tlb_code){ in[3], in[4] & mask, NULL };
		}
	}
	return in;
}

void tlb_load(struct cpu *c, const u64 *in, unsigned count)
{
	const u64 *end = in + count;

	tlb_forget(c);
	update_view(c);
	in = load(c, c->bank[0], in, end);
	if (end - in < 2 * TLB_SPACE_WORDS || !c->bank[1])
		return;
	memcpy(c->left, in, sizeof c->left);
	load(c, c->bank[1], in + 2 * TLB_SPACE_WORDS, end);
}

u64 tlb_hash(const struct cpu *c, u64 h)
{
	const struct view *v;

	for (unsigned i = 0; (v = any_view(c, i)) != NULL; i++)
		for (unsigned k = 0; k < v->nused; k++) {
			u64 words[SLOT_WORDS];

			slot_words(v, v->used[k], words);
			h = hash64(h, words, sizeof words);
		}
	return both_count(c) ? hash64(h, c->left, sizeof c->left) : h;
}

/* Is a data breakpoint (DR7) set in this page, or is each store watched? Then every access must be looked at. */
static bool page_watched(const struct cpu *c, u64 linear)
{
	if (unlikely(c->watch != NULL))
		return true;
	if (unlikely(c->all->observer && observes_page(c->all->observer, linear)))
		return true;
	for (int i = 0; i < 4; i++)
		if ((c->dr[7] >> (2 * i) & 3) && (c->dr[7] >> (16 + 4 * i) & 3) && !((c->dr[i] ^ linear) & PAGE_MASK))
			return true;
	return false;
}

/* The entry at HOST is one that the walk read. */
static void note_entry(struct walked *w, const u8 *host)
{
	w->entry[w->levels].host = host;
	w->entry[w->levels++].value = w->size == 4 ? get32(host) : get64(host);
}

/* An access to LINEAR, by the rights of the present view, has walked to a device at PHYS. */
static void remember_walk(struct cpu *c, u64 linear, unsigned access, u64 phys)
{
	struct walked *w = &c->view->walked[access];
	struct walk walk_now = walk_begin(c, linear, access, NULL);

	*w = (struct walked){ .page = TLB_NONE, .phys = phys & PAGE_MASK, .size = 8 };
	if (second_level_on(c)) /* the entries of two levels: it walks each time */
		return;
	if (paging(c)) {
		if (walk(c, linear, &walk_now) != FOUND)
			return;
		if (c->cr4 & CR4_PAE && !(c->efer & EFER_LMA))
			note_entry(w, (const u8 *)&c->pdpte[bits(linear, 31, 30)]);
		for (unsigned level = walk_now.last; level <= walk_now.first; level++) {
			const u8 *host = space_ram(c->mem, walk_now.entry[level] & c->mem->mask,
						   walk_now.leaf_size, NULL);

			if (!host)
				return;
			w->size = walk_now.leaf_size;
			note_entry(w, host);
		}
	}
	w->page = linear & PAGE_MASK;
}

bool page_walks_again(struct cpu *c, u64 linear, unsigned access)
{
	const struct walked *w = &c->view->walked[access];

	if (w->page != (linear & PAGE_MASK))
		return false;
	for (unsigned i = 0; i < w->levels; i++)
		if ((w->size == 4 ? get32(w->entry[i].host) : get64(w->entry[i].host)) != w->entry[i].value)
			return false;
	c->walks++;
	return true;
}

/* The kinds of accesses that are denied to the page of RANGE with FLAGS. */
static unsigned denied(const struct range *range, const u8 *flags)
{
	return ram_denied(range->ram, (u64)(flags - range->ram->pages));
}

/* The RAM page at physical address PHYS, which is masked; NULL: there is none, or ACCESS to it is denied. *FLAGS: its.
 * */
static u8 *ram_page(struct cpu *c, u64 phys, unsigned access, const struct range **range, u8 **flags)
{
	u8 *host = space_ram(c->mem, phys & PAGE_MASK, PAGE_SIZE, range);

	if (unlikely(!host))
		return NULL;
	*flags = &(*range)->ram->pages[(u64)(host - (*range)->ram->host) >> PAGE_SHIFT];
	return unlikely(denied(*range, *flags) >> access & 1) ? NULL : host;
}

/* An implicit supervisor access has other rights than the views of the user and of EFLAGS.AC. At CPL 3 it is rare
 * enough to walk each time. */
static bool remembers(const struct cpu *c, unsigned access)
{
	if (access & ACCESS_SYSTEM)
		return c->view == &c->views[VIEW_SUPERVISOR] && c->cpl != 3;
	/* fetches know no alignment; blocks over two pages need them */
	return (access & 3) == ACCESS_FETCH || c->view != &c->views[VIEW_SLOW];
}

static void remember_code(struct cpu *c, unsigned n, u64 page, u64 phys, u64 flags, u8 *host)
{
	struct view *v = code_view(c);

	bool lost = v->code[n].valid != TLB_NONE && !holds(v->code[n].valid, page, 0);

	slot_list(v, n, flags);
	v->code[n] = (struct tlb_code){ page | flags, phys, host };
	if (lost)
		code_lost(c->views);
}

static void remember_data(struct view *v, unsigned n, u64 page, u64 phys, u64 flags)
{
	struct tlb_entry *e = &v->tlb[n];

	/* An entry describes one page: keep what other kinds of access had found out about it, unless it was somewhere
	 * else then. */
	if (!holds(e->valid, page, 0) || v->phys[n] != phys) {
		tags_clear(v, n);
		e->valid = page;
		v->phys[n] = phys;
	}
	slot_list(v, n, flags);
	e->valid = (e->valid & ~(u64)(VALID_GLOBAL | VALID_SIZE)) | flags;
}

bool tlb_fetch(struct cpu *c, u64 linear, u8 **host, u64 *phys)
{
	u64 page = linear & PAGE_MASK, offset = linear & (PAGE_SIZE - 1);
	struct tlb_code *t = &code_view(c)->code[linear >> PAGE_SHIFT & (TLB_SIZE - 1)];
	const struct range *range;
	u8 *flags;

	if (!holds(t->valid, page, 0))
		return tlb_fill(c, linear, ACCESS_FETCH, host, phys);
	if (!t->host)
		t->host = ram_page(c, t->phys, ACCESS_FETCH, &range, &flags);
	*phys = t->phys | offset;
	*host = t->host ? t->host + offset : NULL;
	return true;
}

bool tlb_fill(struct cpu *c, u64 linear, unsigned access, u8 **host, u64 *phys_out)
{
	struct view *v = c->view;
	unsigned n = linear >> PAGE_SHIFT & (TLB_SIZE - 1), kind = access & 3;
	struct tlb_entry *e = &v->tlb[n];
	u64 page = linear & PAGE_MASK, offset = linear & (PAGE_SIZE - 1);
	bool keep = remembers(c, access);
	const struct range *range;
	u8 *flags, *at;
	u32 hooks = 0;

	*host = NULL;
	if (access <= ACCESS_WRITE && page_walks_again(c, linear, access)) {
		*phys_out = v->walked[access].phys | offset;
		return true;
	}
	if (keep && kind != ACCESS_FETCH && holds(e->valid, page, kind == ACCESS_WRITE ? VALID_WRITE : VALID_READ)) {
		*phys_out = v->phys[n] | offset;
		at = ram_page(c, v->phys[n], kind, &range, &flags);
		if (!at)
			return true;
	} else {
		struct translation t;
		u64 phys, flags_known;

		if (unlikely(c->cr4 & CR4_LASS) && lass_denies(c, linear, access))
			return gp_because(c, 0, "LASS keeps this half of the addresses from it (4.2.1)");
		t = page_walk(c, linear, access);
		if (!t.ok)
			return false;
		*phys_out = t.phys & c->mem->mask;
		if (unlikely(in_guest(c)) && guest_apic_page(c, t.phys))
			return kind != ACCESS_FETCH || guest_apic_access(c, (unsigned)offset, 1, ACCESS_FETCH);
		at = ram_page(c, *phys_out, kind, &range, &flags);
		if (!at && access <= ACCESS_WRITE &&
		    !(c->all->missing_stops && missing_at(c, *phys_out, (enum access)access)))
			remember_walk(c, linear, access, *phys_out);
		if (!at || (kind == ACCESS_WRITE && range->rom))
			return true;
		phys = *phys_out & PAGE_MASK;
		flags_known = (t.global ? VALID_GLOBAL : 0) | (t.page_size == 2 * MiB   ? 1 << 3
							       : t.page_size == 4 * MiB ? 2 << 3
							       : t.page_size == GiB     ? 3 << 3
											: 0);
		if (keep && kind == ACCESS_FETCH)
			remember_code(c, n, page, phys, flags_known, at);
		else if (keep)
			remember_data(v, n, page, phys,
				      flags_known | VALID_READ |
				      (t.writable && !range->rom && !(denied(range, flags) & 1 << ACCESS_WRITE)
					       ? VALID_WRITE : 0));
	}
	if (kind == ACCESS_FETCH) {
		*host = at + offset;
		return true;
	}
	if (kind == ACCESS_WRITE)
		ram_flag(range->ram, (u64)(flags - range->ram->pages), PAGE_DIRTY);
	/* else memory.c writes through the space, which tells the decode cache */
	if (kind != ACCESS_WRITE || !(*flags & PAGE_CODE))
		*host = at + offset;
	if (!keep || *flags & PAGE_WATCH || page_watched(c, linear))
		return true;
	if (unlikely(hooked(c, HOOK_MEMORY)))
		hooks = hook_page(c, linear, *phys_out);
	e->addend = (u64)(uintptr_t)at - page;
	if (hooks & HOOK_READ)
		v->hooked[n] |= HOOKED_READ;
	else if (likely(!(denied(range, flags) & 1 << ACCESS_READ)))
		e->read = page;
	if (e->valid & VALID_WRITE && (*flags & (PAGE_CODE | PAGE_DIRTY)) == PAGE_DIRTY) {
		if (hooks) /* an instruction that writes may have read by the same tag */
			v->hooked[n] |= HOOKED_WRITE;
		else
			e->write = page;
	}
	return true;
}
