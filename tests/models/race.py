#!/usr/bin/env python3
"""Exhaustive interleavings of put/rm/get/cas/gc over one key with the proposed locks; checks linearizability."""
from tally import Tally
TALLY=Tally('race')
TOMB='T'
# shared state: loose: None | (val,etag)   val may be TOMB ; packs: tuple of (name, val|TOMB|None) ; man: (tuple names newest first, folding) ; lock shard: None|pid
class Cfg: pass
def lookup(packs,names):
    d=dict(packs)
    for n in names:
        if n not in d: return 'GONE'
        if d[n] is not None: return d[n]
    return None
# Each process: list-program written as generator-free step functions: state machine (pc, locals)
def put(val):
    def step(pc,l,S,pid,C):
        if pc==0:
            if C.putlock:
                if S['lock'] is not None: return None
                S['lock']=pid
            return 1,l
        if pc==1:
            S['et']+=1; S['loose']=(val,S['et']); return 2,l
        if pc==2:
            if C.putlock: S['lock']=None
            return 'ret',('put',val)
    return step
def rm():
    def step(pc,l,S,pid,C):
        if pc==0:
            if S['lock'] is not None: return None
            S['lock']=pid; return 1,l
        if pc==1: return 2,(S['loose'],)
        if pc==2: return 21,(l[0],S['gcl'] is not None)
        if pc==21: return 3,(l[0],S['man'],l[1])
        if pc==3:
            lo,man,pr=l; pv=lookup(S['packs'],man[0])
            if pv=='GONE': return 1,()
            live=(lo[0]!=TOMB) if lo else (pv not in(None,TOMB))
            if not live: S['lock']=None; return 'ret',('rm',False)
            return 4,(lo,man,pv,pr)
        if pc==4:
            lo,man,pv,pr=l; l2gc=S['gcl'] is not None
            need=pv not in(None,TOMB) if C.rmrule in('packonly','flag','probe','probe2') else False
            if C.rmrule=='flag' and man[1]: need=True
            if C.rmrule=='always': need=True
            if C.rmrule=='probe' and l2gc: need=True
            if C.rmrule=='probe2' and pr: need=True
            if pv==TOMB and lo is None: need=False
            S['et']+=1
            S['loose']=(TOMB,S['et']) if need else None
            return 5,l
        if pc==5: S['lock']=None; return 'ret',('rm',True)
    return step
def get():
    def step(pc,l,S,pid,C):
        if C.getorder=='loose-first':
            if pc==0:
                lo=S['loose']
                if lo: return 'ret',('get',None if lo[0]==TOMB else lo[0])
                return 1,l
            if pc==1: return 2,(S['man'][0],)
            if pc==2:
                names=l[0]
                if not names: return 'ret',('get',None)
                d=dict(S['packs'])
                if names[0] not in d: return (0 if C.retry=='loose' else 1),()
                v=d[names[0]]
                if v is not None: return 'ret',('get',None if v==TOMB else v)
                return 2,(names[1:],)
        else: # manifest first
            if pc==0: return 1,(S['man'][0],)
            if pc==1:
                lo=S['loose']
                if lo: return 'ret',('get',None if lo[0]==TOMB else lo[0])
                return 2,l
            if pc==2:
                names=l[0]
                if not names: return 'ret',('get',None)
                d=dict(S['packs'])
                if names[0] not in d: return 0,()
                v=d[names[0]]
                if v is not None: return 'ret',('get',None if v==TOMB else v)
                return 2,(names[1:],)
    return step
def addnew(val):  # put --if-absent
    def step(pc,l,S,pid,C):
        if pc==0:
            if S['lock'] is not None: return None
            S['lock']=pid; return 1,l
        if pc==1: return 2,(S['loose'],)
        if pc==2: return 3,(l[0],S['man'])
        if pc==3:
            lo,man=l; pv=lookup(S['packs'],man[0])
            if pv=='GONE': return 1,()
            live=(lo[0]!=TOMB) if lo else (pv not in(None,TOMB))
            if live: S['lock']=None; return 'ret',('add',val,False)
            S['et']+=1; S['loose']=(val,S['et']); return 4,l
        if pc==4: S['lock']=None; return 'ret',('add',val,True)
    return step
def gc(tag='g',merge=True):
    def step(pc,l,S,pid,C):
        # l=(folded,)  pcs
        if pc==0:
            if S['gcl'] is not None: return None if C.gcwait else ('ret',('gc','busy'))
            S['gcl']=pid; return 1,()
        if pc==1:
            if C.rmrule=='flag': S['man']=(S['man'][0],True)
            return 2,()
        if pc==2:   # barrier
            if C.barrier:
                if S['lock'] is not None: return None
                S['lock']=pid
            return 3,()
        if pc==3:
            if C.barrier: S['lock']=None
            return 4,()
        if pc==4: return 5,(S['loose'],)      # scan
        if pc==5:
            lo=l[0]
            if lo is None: return 9,()
            n=tag+'f'; S['packs']=S['packs']+((n,lo[0]),); return 6,(lo,n)
        if pc==6: S['man']=((l[1],)+S['man'][0],S['man'][1]); return 7,l
        if pc==7:
            if C.gclock:
                if S['lock'] is not None: return None
                S['lock']=pid
            return 71,(l[0],S['loose'])
        if pc==71:   # identity check done on what was read, then unlink (two steps)
            lo,now=l
            if now is not None and (now==lo or not C.ident): S['loose']=None
            return 8,()
        if pc==8:
            if C.gclock: S['lock']=None
            return 9,()
        if pc==9:
            if not merge: return 14,()
            names=S['man'][0]
            if len(names)<2: return 14,()
            v=lookup(S['packs'],names)
            n=tag+'m'; S['packs']=S['packs']+((n,None if v==TOMB else v),); return 10,(n,names)
        if pc==10: S['man']=((l[0],),S['man'][1]); return 11,l
        if pc==11:
            names=l[1]
            if not names: return 14,()
            S['packs']=tuple(p for p in S['packs'] if p[0]!=names[-1]); return 11,(l[0],names[:-1])
        if pc==14:
            S['man']=(S['man'][0],False); return 15,()
        if pc==15: S['gcl']=None; return 'ret',('gc','ok')
    return step
def bulk(val):
    """Bulk put: writes its entries into a pack; commits the pack and drops the loose entries it
    supersedes while it holds the locks of the shards it touches."""
    def step(pc,l,S,pid,C):
        if pc==0:
            if S['gcl'] is not None: return None
            S['gcl']=pid; return 1,()
        if pc==1:
            n='b'+val; S['packs']=S['packs']+((n,val),); return (2 if C.bulklock else 3),(n,)
        if pc==2:
            if S['lock'] is not None: return None
            S['lock']=pid; return 3,l
        if pc==3: S['man']=((l[0],)+S['man'][0],S['man'][1]); return (5 if C.bulklock else 4),l   # commit
        if pc==4:
            if S['lock'] is not None: return None
            S['lock']=pid; return 5,l
        if pc==5: S['loose']=None; return 6,()
        if pc==6: S['lock']=None; return 7,()
        if pc==7: S['gcl']=None; return 'ret',('put',val)
    return step
def apply(v,r):
    if r[0]=='put': return True,r[1]
    if r[0]=='get': return v==r[1],v
    if r[0]=='rm': return (r[1]==(v is not None)),(None if r[1] else v)
    if r[0]=='add': return (r[2]==(v is None)),(r[1] if r[2] else v)
    return True,v
def linear(init,ops,final):
    # ops: list of (start,end,res)
    ops=[o for o in ops if o[2][0]!='gc']
    def rec(v,rem):
        if not rem: return v==final
        m=min(o[1] for o in rem)
        for o in rem:
            if o[0]<=m:
                ok,nv=apply(v,o[2])
                if ok and rec(nv,[x for x in rem if x is not o]): return True
        return False
    return rec(init,ops)
def explore(C,init_loose,init_packs,procs,initv):
    S0={'loose':init_loose,'packs':tuple(init_packs),'man':(tuple(n for n,_ in reversed(init_packs)),False),'lock':None,'gcl':None,'et':10}
    seen=set(); bad=[]; n=[0]; hist=[0]
    def key(S,P,H): return (S['loose'],S['packs'],S['man'],S['lock'],S['gcl'],S['et'],P,H)
    # history as order of events: tuple of ('s',i)/('e',i,res)
    stack=[(S0,tuple((0,()) for _ in procs),())]
    while stack:
        S,P,H=stack.pop()
        k=key(S,P,H)
        if k in seen: continue
        seen.add(k)
        if all(p[0]=='done' for p in P):
            hist[0]+=1
            start={};ops=[]
            for t,e in enumerate(H):
                if e[0]=='s': start[e[1]]=t
                else: ops.append((start[e[1]],t,e[2]))
            lo=S['loose']
            fv=(None if lo[0]==TOMB else lo[0]) if lo else lookup(S['packs'],S['man'][0])
            if fv==TOMB: fv=None
            if not linear(initv,ops,fv): bad.append((H,fv))
            continue
        prog=False
        for i,(pc,l) in enumerate(P):
            if pc=='done': continue
            S2=dict(S); r=procs[i](pc,l,S2,i,C)
            if r is None: continue
            prog=True
            H2=H
            if pc==0 and ('s',i) not in H: H2=H2+(('s',i),)
            if r[0]=='ret': P2=P[:i]+(('done',()),)+P[i+1:]; H2=H2+(('e',i,r[1]),)
            else: P2=P[:i]+(r,)+P[i+1:]
            stack.append((S2,P2,H2))
        for i,(pc,l) in enumerate(P):
            if i in C.kill and pc not in('done',0):   # kill -9: kernel drops its locks
                S2=dict(S)
                if S2['lock']==i: S2['lock']=None
                if S2['gcl']==i: S2['gcl']=None
                stack.append((S2,P[:i]+(('done',()),)+P[i+1:],H+(('e',i,('gc','killed')),))); prog=True
        if not prog: bad.append(('DEADLOCK',P))
    return len(seen),hist[0],bad
def cfg(**k):
    C=Cfg(); C.putlock=True;C.rmrule='flag';C.barrier=True;C.gclock=True;C.ident=True;C.getorder='loose-first';C.retry='loose';C.gcwait=False;C.kill=();C.bulklock=True
    for a,b in k.items(): setattr(C,a,b)
    return C
scen=[
 ('put||gc||get, loose old',('v1',1),[],lambda:[put('v2'),gc(),get()],'v1'),
 ('rm||gc||get, loose',('v1',1),[],lambda:[rm(),gc(),get()],'v1'),
 ('rm||gc||get, loose over packed',('v1',1),[('p0','v0')],lambda:[rm(),gc(),get()],'v1'),
 ('put||gc||get, packed only',None,[('p0','v0')],lambda:[put('v2'),gc(),get()],'v0'),
 ('rm||gc||get, packed only',None,[('p0','v0')],lambda:[rm(),gc(),get()],'v0'),
 ('add||rm||gc, loose',('v1',1),[],lambda:[addnew('v2'),rm(),gc()],'v1'),
 ('add||rm||gc, packed',None,[('p0','v0')],lambda:[addnew('v2'),rm(),gc()],'v0'),
 ('put||rm||gc, loose over packed',('v1',1),[('p0','v0')],lambda:[put('v2'),rm(),gc()],'v1'),
 ('gc||gc||rm, loose over packed',('v1',1),[('p0','v0')],lambda:[gc('g'),gc('h'),rm()],'v1'),
 ('add||add||gc, tombstone over packed',(TOMB,1),[('p0','v0')],lambda:[addnew('x'),addnew('y'),gc()],None),
 ('put||get||get||gc(fold), loose over packed',('v1',1),[('p0','v0')],lambda:[put('v2'),get(),get(),gc(merge=False)],'v1'),
]
def go(title,C,only=None):
    states,bad=0,[]
    for name,lo,pk,mk,iv in scen:
        if only and not any(o in name for o in only): continue
        n,h,b=explore(C,lo,pk,mk(),iv); states+=n; bad+=b
    TALLY.tell(title,states,len(bad),bad[:1])
go('recommended protocol',cfg())
go('WRONG rm writes tombstone only if a published pack holds the key (no FOLDING flag)',cfg(rmrule='packonly'),['rm||gc||get, loose','add||rm||gc, loose'])
go('WRONG FOLDING flag but no shard barrier after setting it',cfg(barrier=False),['rm||gc||get, loose','add||rm||gc, loose'])
go('WRONG put takes no lock',cfg(putlock=False),['put||gc||get, loose old','put||rm||gc'])
go('WRONG gc unlinks without shard lock',cfg(gclock=False),['put||gc||get, loose old'])
go('WRONG gc unlinks without identity check',cfg(ident=False),['put||gc||get, loose old'])
go('WRONG reader reads MANIFEST before loose',cfg(getorder='man'),['get'])
go('reader, pack vanished: re-read MANIFEST only (not loose)',cfg(retry='man'),['get'])

go('probe gc.lock AFTER reading MANIFEST',cfg(rmrule='probe'))
go('probe gc.lock BEFORE reading MANIFEST',cfg(rmrule='probe2'))
scen=[
 ('gc(kill -9 anywhere)||gc2||rm, loose',('v1',1),[],lambda:[gc('g'),gc('h'),rm()],'v1'),
 ('gc(kill -9 anywhere)||gc2||rm, loose over packed',('v1',1),[('p0','v0')],lambda:[gc('g'),gc('h'),rm()],'v1'),
 ('gc(kill -9 anywhere)||gc2||put, loose over packed',('v1',1),[('p0','v0')],lambda:[gc('g'),gc('h'),put('v2')],'v1'),
 ('gc(kill -9 anywhere)||gc2||add, tombstone over packed',(TOMB,1),[('p0','v0')],lambda:[gc('g'),gc('h'),addnew('x')],None),
 ('gc(kill -9 anywhere)||gc2||get, loose over packed',('v1',1),[('p0','v0')],lambda:[gc('g'),gc('h'),get()],'v1'),
]
go('WRONG gc killed anywhere, probe AFTER MANIFEST',cfg(rmrule='probe',gcwait=True,kill=(0,)))
go('gc killed anywhere, probe BEFORE MANIFEST',cfg(rmrule='probe2',gcwait=True,kill=(0,)))
go('gc killed anywhere, FOLDING flag in MANIFEST',cfg(rmrule='flag',gcwait=True,kill=(0,)))

scen=[
 ('bulk||get||get, loose old',('v1',1),[],lambda:[bulk('b2'),get(),get()],'v1'),
 ('bulk||put||get, loose old',('v1',1),[],lambda:[bulk('b2'),put('v2'),get()],'v1'),
 ('bulk||rm||get, loose old',('v1',1),[],lambda:[bulk('b2'),rm(),get()],'v1'),
 ('bulk||rm||get, loose over packed',('v1',1),[('p0','v0')],lambda:[bulk('b2'),rm(),get()],'v1'),
 ('bulk||rm||get, packed only',None,[('p0','v0')],lambda:[bulk('b2'),rm(),get()],'v0'),
 ('bulk||add||get, tombstone over packed',(TOMB,1),[('p0','v0')],lambda:[bulk('b2'),addnew('x'),get()],None),
 ('bulk||add||rm, absent',None,[],lambda:[bulk('b2'),addnew('x'),rm()],None),
 ('bulk||gc||get, loose over packed',('v1',1),[('p0','v0')],lambda:[bulk('b2'),gc(),get()],'v1'),
 ('bulk||gc||rm, loose over packed',('v1',1),[('p0','v0')],lambda:[bulk('b2'),gc(),rm()],'v1'),
 ('bulk||bulk||get, loose',('v1',1),[],lambda:[bulk('b2'),bulk('b3'),get()],'v1'),
 ('bulk||put||rm, packed only',None,[('p0','v0')],lambda:[bulk('b2'),put('v2'),rm()],'v0'),
 ('bulk||put||add, loose',('v1',1),[],lambda:[bulk('b2'),put('v2'),addnew('x')],'v1'),
]
go('bulk put into a pack',cfg(rmrule='probe2',gcwait=True))
go('WRONG bulk put that commits before it holds the shard lock',cfg(rmrule='probe2',gcwait=True,bulklock=False))

# ======================================================================================================================
# Part 2 (review): expiry and sweep, take, read-modify-write, eviction of packed records, conditional bulk put, bulk
# put killed anywhere, clock stepping back, tombstone draft written outside the lock, first-time lost updates.
# A record is (value|TOMB, etag, exp); exp=1 means "expires when the clock ticks" (S['now'] 0 -> 1). Packs keep etags.
# ======================================================================================================================
def vis(S,r): return r is not None and r[0]!=TOMB and not (r[2] and S['now'])
def look2(S,names):
    d=dict(S['packs'])
    for n in names:
        if n not in d: return 'GONE'
        if d[n] is not None: return d[n]
    return None
def etag_of(S,lo,pv):
    r=lo if lo is not None else pv
    return r[1] if vis(S,r) else None
def put2(val,exp=0):
    def step(pc,l,S,pid,C):
        if pc==0:
            if S['lock'] is not None: return None
            S['lock']=pid; return 1,l
        if pc==1: S['et']+=1; S['loose']=(val,S['et'],exp); return 2,l
        if pc==2: S['lock']=None; return 'ret',('put',val,exp)
    return step
def get2():
    """G1..G3 as storage.md has them; C.g4: look again (loose name still absent, MANIFEST still the one that was read), else G1"""
    def step(pc,l,S,pid,C):
        if C.nowstart and pc==0 and not l: return 0,('t',S['now'])
        now=l[1] if C.nowstart else S['now']
        t=l[:2] if C.nowstart else ()
        v_=lambda r: r[0] if r is not None and r[0]!=TOMB and not(r[2] and now) else None
        if pc==0:
            lo=S['loose']
            if lo: return 'ret',('get',v_(lo))
            return 1,t
        if pc==1: return 2,t+(S['man'],)
        if pc==2:
            v=look2(S,l[-1])
            if v=='GONE': return 0,t
            return (3,t+(l[-1],v_(v))) if C.g4 else ('ret',('get',v_(v)))
        if pc==3: return (0,t) if S['loose'] is not None else (4,l)
        if pc==4: return (0,t) if S['man']!=l[-2] else ('ret',('get',l[-1]))
    return step
def getkept(packs):
    """The packs were read before all this, and stay open: the clock, the loose name, the kept packs, MANIFEST still the one that named them; else G1"""
    kept,names,slow=dict(packs),tuple(n for n,_ in reversed(packs)),get2()
    found=next((kept[n] for n in names if kept[n] is not None),None)
    def step(pc,l,S,pid,C):
        v_=lambda r,now: r[0] if r is not None and r[0]!=TOMB and not(r[2] and now) else None
        if pc==0: return ('look' if C.keptlook!='before' or S['man']==names else 's'),(S['now'],) if C.keptlook!='before' or S['man']==names else (0,())
        if pc=='look':
            lo=S['loose']
            if lo: return 'ret',('get',v_(lo,l[0]))
            return 'judge',l
        if pc=='judge':
            if C.keptlook!='after' or S['man']==names: return 'ret',('get',v_(found,S['now'] if C.latenow else l[0]))
            return 's',(0,())
        r=slow(l[0],l[1],S,pid,C)
        return r if r is None or r[0]=='ret' else ('s',r)
    return step
def needtomb(S,C,pv,probe):
    if pv is not None and pv[0]!=TOMB and (C.liverule=='any' or vis(S,pv)): return True
    return probe
def rm2(kind='rm'):
    """kind rm: remove; take: get --remove (optimistic read first); sweep: expiry sweep of a hint; evictl: evict if etag unchanged"""
    def step(pc,l,S,pid,C):
        # l = (base, draft)
        if pc==0:
            if kind=='rm': return 10,(None,False)
            if kind=='sweep':
                lo=S['loose']
                if lo is None or not(lo[2] and S['now']) or lo[0]==TOMB: return 'ret',('nop',)
                return 10,(lo[1],False)
            lo=S['loose']
            if lo is not None:
                if not vis(S,lo): return 'ret',('take',None) if kind=='take' else ('nop',)
                return 10,(lo[:2],False)
            return 1,()
        if pc==1: return 2,(S['man'],)
        if pc==2:
            v=look2(S,l[0])
            if v=='GONE': return 0,()
            if not vis(S,v): return 'ret',('take',None) if kind=='take' else ('nop',)
            return 10,(v[:2],False)
        base,draft=l[0],l[1]
        if pc==10:
            if S['lock'] is not None: return None
            S['lock']=pid; return 11,(base,draft)
        if pc==11: return 12,(base,draft,S['loose'])
        if pc==12: return 13,(base,draft,l[2],S['gcl'] is not None)
        if pc==13: return 14,l+(S['man'],)
        if pc==14:
            lo,pr,man=l[2],l[3],l[4]; pv=look2(S,man)
            if pv=='GONE': return 11,(base,draft)
            if kind=='sweep':
                if C.sweepcheck=='none': ok=lo is not None
                else: ok=lo is not None and lo[1]==base and lo[0]!=TOMB and lo[2] and S['now']
                if not ok: S['lock']=None; return 'ret',('nop',)
            else:
                e=etag_of(S,lo,pv)
                if kind=='rm':
                    if e is None: S['lock']=None; return 'ret',('rm',False)
                elif C.takecheck and (e is None or e!=base[1]):
                    S['lock']=None
                    return (0,()) if kind=='take' else ('ret',('nop',))
            need=needtomb(S,C,pv,pr)
            if kind=='sweep' and C.sweeprule=='unlink': need=False
            if C.draft and need and not draft: S['lock']=None; return 20,(base,True)
            return 15,(base,draft,need)
        if pc==20: return 10,(base,True)          # write and fsync the tombstone draft, no lock held
        if pc==15:
            S['et']+=1; S['loose']=(TOMB,S['et'],0) if l[2] else None; return 16,l
        if pc==16:
            S['lock']=None
            return 'ret',(('rm',True) if kind=='rm' else ('sweep',) if kind=='sweep' else (kind.replace('evictl','evict'),base[0]))
    return step
def add2(val):
    def step(pc,l,S,pid,C):
        if pc==0:
            if S['lock'] is not None: return None
            S['lock']=pid; return 1,()
        if pc==1: return 2,(S['loose'],)
        if pc==2: return 3,(l[0],S['man'])
        if pc==3:
            pv=look2(S,l[1])
            if pv=='GONE': return 1,()
            if etag_of(S,l[0],pv) is not None: S['lock']=None; return 'ret',('add',val,False)
            return 4,()
        if pc==4: S['et']+=1; S['loose']=(val,S['et'],0); return 5,()
        if pc==5: S['lock']=None; return 'ret',('add',val,True)
    return step
def rmw(x,never=False):
    """incr, append, expire, --keep-ttl, update: read without a lock, write and fsync the draft, lock, compare etag, rename"""
    def step(pc,l,S,pid,C):
        if pc==0:
            lo=S['loose']
            if lo is not None: return 3,(lo if vis(S,lo) else None,)
            return 1,()
        if pc==1: return 2,(S['man'],)
        if pc==2:
            v=look2(S,l[0])
            if v=='GONE': return 0,()
            return 3,(v if vis(S,v) else None,)
        base=l[0]
        if pc==3:
            if S['lock'] is not None: return None
            S['lock']=pid; return 4,(base,)
        if pc==4: return 5,(base,S['loose'])
        if pc==5: return 6,(base,l[1],S['man'])
        if pc==6:
            lo=l[1]; pv=look2(S,l[2])
            if pv=='GONE': return 4,(base,)
            e=etag_of(S,lo,pv)
            if C.rmwcheck=='loose' and lo is None: e=base[1] if base else None      # forgets to look into the packs again
            if C.rmwcheck=='none': e=base[1] if base else None
            if e!=(base[1] if base else None): S['lock']=None; return 0,()
            if not C.atomclock: return 7,(base,)
            pc=7                                      # judging the clock and the rename taken as one instant
        if pc==7:
            S['et']+=1; S['loose']=((base[0] if base else '')+x,S['et'],0 if never or not base else base[2]); return 8,(base,)
        if pc==8: S['lock']=None; return 'ret',('rmwn' if never else 'rmw',base[0] if base else None,x)
    return step
def gc2(tag='g',evict=None,foldas=None,sweep=None):
    """fold, then merge everything (run includes the oldest pack: tombstones and expired records go).
    evict: None | 'nolock' | 'lock': the merge also drops the live record; commit with or without the shard lock"""
    def step(pc,l,S,pid,C):
        if pc==0:
            if S['gcl'] is not None: return None
            S['gcl']=pid; return (20 if sweep else 2),()
        if pc==20:                                       # sweep by gc itself: it does not probe its own lock
            if S['lock'] is not None: return None
            S['lock']=pid; return 21,()
        if pc==21:
            lo=S['loose']; pv=look2(S,S['man'])
            if lo is not None and lo[0]!=TOMB and lo[2] and S['now'] and pv is None: S['loose']=None
            return 22,()
        if pc==22: S['lock']=None; return 2,()
        if pc==2:
            if S['lock'] is not None: return None
            S['lock']=pid; return 3,()
        if pc==3: S['lock']=None; return 4,()
        if pc==4: return 5,(S['loose'],)
        if pc==5:
            lo=l[0]
            if lo is None: return 9,()
            n=tag+'f'
            rec=(TOMB,lo[1],0) if (foldas=='tomb' or (sweep and lo[2] and S['now'])) else lo
            S['packs']=S['packs']+((n,rec),); return 6,(lo,n)
        if pc==6: S['man']=(l[1],)+S['man']; return 7,l
        if pc==7:
            if S['lock'] is not None: return None
            S['lock']=pid; return 71,(l[0],S['loose'])
        if pc==71:
            if l[1] is not None and l[1]==l[0]: S['loose']=None
            return 8,()
        if pc==8: S['lock']=None; return 9,()
        if pc==9:
            names=S['man']
            if len(names)<(1 if evict else 2): return 14,()
            v=look2(S,names); keep=v if vis(S,v) else None
            if evict and keep is not None: keep=None
            n=tag+'m'; S['packs']=S['packs']+((n,keep),); return (10 if evict!='lock' else 95),(n,names)
        if pc==95:
            if S['lock'] is not None: return None
            S['lock']=pid; return 10,l
        if pc==10: S['man']=(l[0],); return (11 if evict!='lock' else 105),l
        if pc==105: S['lock']=None; return 11,l
        if pc==11:
            names=l[1]
            if not names: return 14,()
            S['packs']=tuple(p for p in S['packs'] if p[0]!=names[-1]); return 11,(l[0],names[:-1])
        if pc==14: S['gcl']=None; return 'ret',('evictnd',) if evict or foldas else ('gcnd',)
    return step
def gc3(tag='g'):
    """merge only (the loose entry is hot): rewrites all packs, dropping expired records and tombstones"""
    def step(pc,l,S,pid,C):
        if pc==0: S['gcl']=pid; return 9,()
        if pc==9:
            names=S['man']; v=look2(S,names); n=tag+'m'
            S['packs']=S['packs']+((n,v if vis(S,v) else None),); return 10,(n,names)
        if pc==10: S['man']=(l[0],); return 11,l
        if pc==11: S['packs']=tuple(p for p in S['packs'] if p[0] not in l[1]); return 14,()
        if pc==14: S['gcl']=None; return 'ret',('gcnd',)
    return step
def bulk2(val,exp=0,cond=None):
    """cond None: import; 'absent': import --if-absent. C.bulkcond 'recheck': B5 leaves a loose entry whose condition fails
    (loose wins over the pack record); 'naive': decides before the locks and unlinks whatever is there."""
    def step(pc,l,S,pid,C):
        if pc==0:
            if S['gcl'] is not None: return None
            S['gcl']=pid; return 1,()
        if pc==1:
            if cond:
                e=etag_of(S,S['loose'],look2(S,S['man']))
                if e is not None: return 9,(False,)
            return 2,()
        if pc==2:
            S['et']+=1; n='b'+val; S['packs']=S['packs']+((n,(val,S['et'],exp)),); return 3,(n,)
        if pc==3:
            if S['lock'] is not None: return None
            S['lock']=pid; return 4,l
        if pc==4:
            keep=bool(cond) and C.bulkcond=='recheck' and S['loose'] is not None and vis(S,S['loose'])
            return 5,(l[0],keep)
        if pc==5: S['man']=(l[0],)+S['man']; return 6,l
        if pc==6:
            if not l[1]: S['loose']=None
            return 7,l
        if pc==7: S['lock']=None; return 9,(not l[1],)
        if pc==9: S['gcl']=None; return 'ret',(('add',val,l[0]) if cond else ('put',val,exp))
    return step
def clock(to):
    def step(pc,l,S,pid,C): S['now']=to; return 'ret',('clock',to)
    return step
def repair(mode):
    """fsck --repair of a damaged loose entry (modelled as value 'DAMAGED'): 'move' it to lost/, or 'tomb' where a pack holds a record"""
    def step(pc,l,S,pid,C):
        if pc==0:
            if S['gcl'] is not None: return None
            S['gcl']=pid; return 1,()
        if pc==1:
            if S['lock'] is not None: return None
            S['lock']=pid; return 2,()
        if pc==2:
            lo=S['loose']
            if lo is not None and lo[0]=='DAMAGED':
                pv=look2(S,S['man'])
                if mode=='tomb' and pv is not None and pv[0]!=TOMB: S['et']+=1; S['loose']=(TOMB,S['et'],0)
                else: S['loose']=None
                S['lock']=None; return 3,(True,)
            S['lock']=None; return 3,(False,)
        if pc==3: S['gcl']=None; return 'ret',(('lose',) if l[0] else ('nop',))
    return step
def apply2(st,r):
    """abstract state ((val,exp)|None, now) -> list of possible next states"""
    e,now=st; v=e[0] if e is not None and not(e[1] and now) else None; k=r[0]
    if k=='put': return [((r[1],r[2]),now)]
    if k=='maybeput': return [st,((r[1],r[2]),now)]
    if k=='get': return [st] if v==r[1] else []
    if k=='rm': return [(None,now)] if r[1]==(v is not None) and r[1] else ([st] if r[1]==(v is not None) else [])
    if k=='take': return ([(None,now)] if r[1] is not None else [st]) if v==r[1] else []
    if k=='add': return ([((r[1],0),now)] if r[2] else [st]) if r[2]==(v is None) else []
    if k=='rmw': return [((((v or '')+r[2]),e[1] if v is not None else 0),now)] if v==r[1] else []
    if k=='rmwn': return [(((v or '')+r[2],0),now)] if v==r[1] else []
    if k=='evict': return [(None,now)] if v==r[1] else []
    if k=='clock': return [(e,r[1])]
    if k in('sweep','gcnd'): return [st]+([(None,now)] if e is not None and v is None else [])
    if k=='evictnd': return [st,(None,now)]
    if k=='lose': return [(None,now)] if v=='DAMAGED' else []
    return [st]
def linear2(init,ops,final):
    memo={}
    def rec(st,rem):
        if not rem:
            e,now=st; return (e[0] if e is not None and not(e[1] and now) else None)==final
        kk=(st,rem)
        if kk in memo: return memo[kk]
        m=min(ops[i][1] for i in rem); r=False
        for i in rem:
            if ops[i][0]<=m:
                for n in apply2(st,ops[i][2]):
                    if rec(n,rem-{i}): r=True; break
            if r: break
        memo[kk]=r; return r
    return rec(init,frozenset(range(len(ops))))
def explore2(C,loose,packs,procs,init,after=()):
    S0={'loose':loose,'packs':tuple(packs),'man':tuple(n for n,_ in reversed(packs)),'lock':None,'gcl':None,'et':10,'now':0}
    seen=set(); bad=[]; hist=0; leftover=0
    stack=[(S0,tuple((0,()) for _ in procs),())]
    while stack:
        S,P,H=stack.pop()
        k=(S['loose'],S['packs'],S['man'],S['lock'],S['gcl'],S['et'],S['now'],P,H)
        if k in seen: continue
        seen.add(k)
        if all(p[0]=='done' for p in P):
            hist+=1; start={}; ops=[]
            for t,e in enumerate(H):
                if e[0]=='s': start[e[1]]=t
                else: ops.append((start[e[1]],t,e[2]))
            r=S['loose'] if S['loose'] is not None else look2(S,S['man'])
            if r=='GONE': bad.append((H,'GONE')); continue
            fv=r[0] if vis(S,r) else None
            if not linear2(init,ops,fv): bad.append((H,fv))
            continue
        prog=False
        for i,(pc,l) in enumerate(P):
            if pc=='done': continue
            w=C.waits.get(i,())                       # i starts only after these are done
            if pc==0 and ('s',i) not in H and any(P[j][0]!='done' for j in w): continue
            S2=dict(S); r=procs[i](pc,l,S2,i,C)
            if r is None: continue
            prog=True; H2=H
            if pc==0 and ('s',i) not in H: H2=H2+(('s',i),)
            if r[0]=='ret': P2=P[:i]+(('done',()),)+P[i+1:]; H2=H2+(('e',i,r[1]),)
            else: P2=P[:i]+(r,)+P[i+1:]
            stack.append((S2,P2,H2))
        for i,(pc,l) in enumerate(P):
            if i in C.kill and pc not in('done',0):
                S2=dict(S)
                if S2['lock']==i: S2['lock']=None
                if S2['gcl']==i: S2['gcl']=None
                stack.append((S2,P[:i]+(('done',()),)+P[i+1:],H+(('e',i,C.killres),))); prog=True
        if not prog: bad.append(('DEADLOCK',P))
    return len(seen),hist,bad
def cfg2(**k):
    C=Cfg(); C.liverule='any'; C.sweepcheck='etag'; C.sweeprule='rm'; C.takecheck=True; C.draft=True; C.rmwcheck='all'
    C.bulkcond='recheck'; C.g4=True; C.atomclock=False; C.nowstart=False; C.kill=(); C.killres=('nop',); C.waits={}; C.keptlook='after'; C.latenow=False
    for a,b in k.items(): setattr(C,a,b)
    return C
def go2(title,C,sc):
    states,bad=0,[]
    for name,lo,pk,mk,iv in sc:
        n,h,b=explore2(C,lo,pk,mk(),iv); states+=n; bad+=b
    TALLY.tell(title,states,len(bad),bad[:1])
V1=('v1',1,0); V1X=('v1',1,1); P0=[('p0',('v0',0,0))]; P0X=[('p0',('v0',0,1))]; A1=(('v1',0),0); A1X=(('v1',1),0); A0=(('v0',0),0); A0X=(('v0',1),0); AN=(None,0); TB=(TOMB,1,0)
exp_sc=[
 ('tick||sweep||put||get, loose ttl',V1X,[],lambda:[clock(1),rm2('sweep'),put2('v2'),get2()],A1X),
 ('tick||sweep||put||get, loose ttl over packed',V1X,P0,lambda:[clock(1),rm2('sweep'),put2('v2'),get2()],A1X),
 ('tick||sweep||gc||get, loose ttl over packed',V1X,P0,lambda:[clock(1),rm2('sweep'),gc2(),get2()],A1X),
 ('tick||sweep||add||gc, loose ttl over packed',V1X,P0,lambda:[clock(1),rm2('sweep'),add2('x'),gc2()],A1X),
 ('tick||sweep||re-put with ttl||get, loose ttl',V1X,[],lambda:[clock(1),rm2('sweep'),put2('v2',1),get2()],A1X),
 ('tick||sweep||bulk||get, loose ttl',V1X,[],lambda:[clock(1),rm2('sweep'),bulk2('b'),get2()],A1X),
 ('tick||sweep||rm||gc, loose ttl over packed',V1X,P0,lambda:[clock(1),rm2('sweep'),rm2(),gc2()],A1X),
]
go2('expiry: sweep = remove path, test "same etag, still expired" under the lock',cfg2(),exp_sc)
go2('WRONG sweep: header judged before the lock, not again under it',cfg2(sweepcheck='none'),exp_sc[:2])
go2('WRONG sweep: always unlinks',cfg2(sweeprule='unlink'),exp_sc[1:4])
take_sc=[
 ('take||take||gc, loose',V1,[],lambda:[rm2('take'),rm2('take'),gc2()],A1),
 ('take||take||gc, packed',None,P0,lambda:[rm2('take'),rm2('take'),gc2()],A0),
 ('take||put||gc, loose over packed',V1,P0,lambda:[rm2('take'),put2('v2'),gc2()],A1),
 ('take||bulk||get, packed',None,P0,lambda:[rm2('take'),bulk2('b'),get2()],A0),
 ('take||rmw||get, packed',None,P0,lambda:[rm2('take'),rmw('+'),get2()],A0),
]
go2('take = optimistic read, then remove under the lock if the etag (loose or packed) is the same',cfg2(),take_sc)
go2('WRONG take: no etag check under the lock',cfg2(takecheck=False),take_sc[:3])
rmw_sc=[
 ('rmw||rmw||gc, packed',None,P0,lambda:[rmw('+'),rmw('*'),gc2()],A0),
 ('rmw||rmw||gc, loose',V1,[],lambda:[rmw('+'),rmw('*'),gc2()],A1),
 ('rmw||bulk||get, packed',None,P0,lambda:[rmw('+'),bulk2('b'),get2()],A0),
 ('rmw||rm||gc, loose over packed',V1,P0,lambda:[rmw('+'),rm2(),gc2()],A1),
 ('rmw||put||gc, packed',None,P0,lambda:[rmw('+'),put2('v2'),gc2()],A0),
]
go2('incr/append/expire/keep-ttl: optimistic, etag compared under the lock in objects and packs',cfg2(),rmw_sc)
go2('WRONG: on ENOENT the etag is taken as unchanged (packs not read again)',cfg2(rmwcheck='loose'),rmw_sc)
go2('WRONG: --keep-ttl/expire publishes what it read before the lock',cfg2(rmwcheck='none'),rmw_sc[:2])
ev=lambda how:[
 ('evict-merge||get||get, packed',None,P0,lambda:[gc2('g',how),get2(),get2()],A0),
 ('evict-merge||add||get, packed',None,P0,lambda:[gc2('g',how),add2('x'),get2()],A0),
 ('evict-merge||rmw||get, packed',None,P0,lambda:[gc2('g',how),rmw('+'),get2()],A0),
 ('evict-merge||rm||get, packed',None,P0,lambda:[gc2('g',how),rm2(),get2()],A0),
 ('evict-merge||take||get, packed',None,P0,lambda:[gc2('g',how),rm2('take'),get2()],A0),
 ('evict-merge||put||get, loose over packed',V1,P0,lambda:[gc2('g',how),put2('v2'),get2()],A1),
]
go2('eviction of packed records by leaving them out of a merge that includes the oldest pack; commit under the shard locks',cfg2(),ev('lock'))
go2('WRONG the same, commit without shard locks',cfg2(),ev('nolock'))
go2('WRONG the same, commit under the shard locks, get without G4',cfg2(g4=False),ev('lock')[2:3])
tt=[('tick||put||gc(drops expired)||get, packed ttl',None,P0X,lambda:[clock(1),put2('v2'),gc3(),get2()],A0X),
    ('tick||expire never||gc(drops expired)||get, packed ttl',None,P0X,lambda:[clock(1),rmw('+',never=True),gc3(),get2()],A0X)]
go2('TTL prolonged in a loose copy, merge drops the expired record: get with G4',cfg2(atomclock=True),tt)
go2('WRONG TTL prolonged in a loose copy, merge drops the expired record: get as written (G1-G3)',cfg2(g4=False,atomclock=True),tt)
go2('WRONG the same, get as written but with the clock read once before G1',cfg2(g4=False,atomclock=True,nowstart=True),tt)
go2('eviction of one entry by the remove path with its etag',cfg2(),[
 ('evict||put||get, loose over packed',V1,P0,lambda:[rm2('evictl'),put2('v2'),get2()],A1),
 ('evict||rmw||gc, packed',None,P0,lambda:[rm2('evictl'),rmw('+'),gc2()],A0),
 ('evict||take||gc, loose',V1,[],lambda:[rm2('evictl'),rm2('take'),gc2()],A1)])
bk=[
 ('bulk(kill -9 anywhere), then gc||get||put, loose',V1,[],lambda:[bulk2('b'),gc2(),get2(),put2('v2')],A1),
 ('bulk(kill -9 anywhere), then gc||rm, loose over packed',V1,P0,lambda:[bulk2('b'),gc2(),rm2(),get2()],A1),
 ('bulk(kill -9 anywhere), then gc||add, tombstone over packed',TB,P0,lambda:[bulk2('b'),gc2(),add2('x'),get2()],AN),
 ('bulk(kill -9 anywhere), then take||gc, packed',None,P0,lambda:[bulk2('b'),gc2(),rm2('take'),get2()],A0),
]
go2('bulk put killed anywhere, gc and others beside and after; get with G4',cfg2(kill=(0,),killres=('maybeput','b',0)),bk)
go2('WRONG bulk put killed anywhere, get as written (G1-G3)',cfg2(kill=(0,),killres=('maybeput','b',0),g4=False),bk[:3])
go2('bulk put killed anywhere over a TTL entry: clock, sweep (must not uncover the batch later)',cfg2(kill=(0,),killres=('maybeput','b',0)),[
 ('bulk(killed)||tick||sweep||get, loose ttl',V1X,[],lambda:[bulk2('b'),clock(1),rm2('sweep'),get2()],A1X)])
kg=lambda lo,pk,iv,*others:[('kept get||'+'||'.join(n for n,_ in others),lo,pk,lambda:[getkept(pk)]+[m() for _,m in others],iv)]
kp=(kg(V1,P0,A1,('gc',gc2),('put',lambda:put2('v2')))+kg(None,P0,A0,('gc',gc2),('put',lambda:put2('v2')),('get',get2))
 +kg(None,P0,A0,('bulk',lambda:bulk2('b')),('rm',rm2))+kg(V1,P0,A1,('bulk',lambda:bulk2('b')),('get',get2))
 +kg(V1,P0,A1,('rm',rm2),('gc',gc2),('add',lambda:add2('x')))+kg(None,P0,A0,('evict',lambda:gc2('g','lock')),('add',lambda:add2('x')))
 +kg(V1X,P0,A1X,('tick',lambda:clock(1)),('sweep',lambda:rm2('sweep')),('gc',gc2))+kg(None,P0X,A0X,('tick',lambda:clock(1)),('put',lambda:put2('v2')),('gc',gc3)))
kp+=kg(None,[],AN,('add',lambda:add2('x')),('gc',gc2))+kg(V1,[],A1,('rm',rm2),('gc',gc2))+kg(None,[],AN,('bulk',lambda:bulk2('b')),('put',lambda:put2('v2')))
go2('get by packs that were kept: no loose name, then MANIFEST still the one that named them',cfg2(atomclock=True),kp)
go2('the same, a bulk put killed anywhere',cfg2(atomclock=True,kill=(1,),killres=('maybeput','b',0)),kg(V1,P0,A1,('bulk',lambda:bulk2('b')),('gc',gc2),('put',lambda:put2('v2'))))
go2('WRONG the same, MANIFEST is not looked at again',cfg2(atomclock=True,keptlook='never'),kp[:1])
go2('WRONG the same, MANIFEST is looked at before the loose name',cfg2(atomclock=True,keptlook='before'),kp[:1])
go2('WRONG the same, the clock is read at the end',cfg2(atomclock=True,latenow=True),kg(None,P0X,A0X,('tick',lambda:clock(1)),('put',lambda:put2('v2')),('gc',gc3)))
bc=[
 ('bulk-if-absent||put||get, absent',None,[],lambda:[bulk2('b',cond='absent'),put2('v2'),get2()],AN),
 ('bulk-if-absent||add||rm, absent',None,[],lambda:[bulk2('b',cond='absent'),add2('x'),rm2()],AN),
 ('bulk-if-absent||rm||get, packed',None,P0,lambda:[bulk2('b',cond='absent'),rm2(),get2()],A0),
 ('bulk-if-absent||add||gc, tombstone over packed',TB,P0,lambda:[bulk2('b',cond='absent'),add2('x'),gc2()],AN),
 ('bulk-if-absent||rmw||take, absent',None,[],lambda:[bulk2('b',cond='absent'),rmw('+'),rm2('take')],AN),
]
go2('import --if-absent: condition again under the shard locks; B5 leaves what fails it (loose wins)',cfg2(),bc)
go2('WRONG the same, get as written (G1-G3)',cfg2(g4=False),bc[:1])
go2('WRONG import --if-absent: decided before B3 only',cfg2(bulkcond='naive'),bc)
cb=[
 ('put,rm then clock back, over expired packed',None,P0X,lambda:[clock(1),put2('v2'),rm2(),clock(0)],A0X),
 ('sweep then clock back, loose ttl over expired packed',V1X,P0X,lambda:[clock(1),rm2('sweep'),get2(),clock(0)],A1X),
]
W={1:(0,),2:(0,1),3:(0,1,2)}
go2('clock steps back; R6 writes a tombstone over ANY packed record that is no tombstone',cfg2(waits=W),cb)
go2('WRONG clock steps back; R6 as written ("a pack holds a live record", expired = not live)',cfg2(waits=W,liverule='live'),cb)
D=('DAMAGED',5,0)
rp=[('repair, then get: damaged loose over packed',D,P0,lambda:[repair(RM),get2()],(('DAMAGED',0),0)),
    ('repair||put||get: damaged loose over packed',D,P0,lambda:[repair(RM),put2('v2'),get2()],(('DAMAGED',0),0))]
RM="move"; go2('WRONG fsck --repair moves a damaged loose entry to lost/ (as written)',cfg2(waits={1:()}),rp)
RM="tomb"; go2('fsck --repair leaves a tombstone where a pack holds a record of the same hash',cfg2(),rp)
go2('remove: tombstone drafted before the lock / after unlocking and deciding again (no write or fsync under the lock)',cfg2(draft=True),[
 ('rm||gc||get, loose',V1,[],lambda:[rm2(),gc2(),get2()],A1),
 ('rm||gc||get, loose over packed',V1,P0,lambda:[rm2(),gc2(),get2()],A1),
 ('rm||add||gc, packed',None,P0,lambda:[rm2(),add2('x'),gc2()],A0),
 ('rm||bulk||get, packed',None,P0,lambda:[rm2(),bulk2('b'),get2()],A0),
 ('rm||rm||gc, loose over packed',V1,P0,lambda:[rm2(),rm2(),gc2()],A1)])

EV=lambda:gc2('g',None,'tomb')
go2('eviction of a loose entry inside gc: folded as a tombstone, unlinked in C6 if the etag is the same; no loose tombstone written',cfg2(),[
 ('evict-fold||get||put, loose over packed',V1,P0,lambda:[EV(),get2(),put2('v2')],A1),
 ('evict-fold||get||rmw, loose over packed',V1,P0,lambda:[EV(),get2(),rmw('+')],A1),
 ('evict-fold||rm||add, loose',V1,[],lambda:[EV(),rm2(),add2('x')],A1),
 ('evict-fold||take||get, loose over packed',V1,P0,lambda:[EV(),rm2('take'),get2()],A1)])
go2('the same, gc killed anywhere, a second gc after it',cfg2(kill=(0,),killres=('evictnd',)),[
 ('evict-fold(killed)||gc||get||rm, loose over packed',V1,P0,lambda:[EV(),gc2('h'),get2(),rm2()],A1),
 ('evict-fold(killed)||gc||get||rmw, loose over packed',V1,P0,lambda:[EV(),gc2('h'),get2(),rmw('+')],A1)])
SW=lambda:gc2('g',None,None,'own')
go2('expiry sweep inside gc: unlinks if no pack holds a record, else the expired entry stays and is folded as a tombstone',cfg2(atomclock=True),[
 ('tick||gc+sweep||put||get, loose ttl over packed',V1X,P0,lambda:[clock(1),SW(),put2('v2'),get2()],A1X),
 ('tick||gc+sweep||rm||get, loose ttl over packed',V1X,P0,lambda:[clock(1),SW(),rm2(),get2()],A1X),
 ('tick||gc+sweep||add||get, loose ttl',V1X,[],lambda:[clock(1),SW(),add2('x'),get2()],A1X),
 ('tick||gc+sweep||expire never, loose ttl',V1X,[],lambda:[clock(1),SW(),rmw('+',never=True)],A1X)])
def put_same(val,keep=True):
    """import that keeps the exported etag over an edited value (or expire/touch that keeps it)"""
    def step(pc,l,S,pid,C):
        if pc==0:
            if S['lock'] is not None: return None
            S['lock']=pid; return 1,l
        if pc==1: S['loose']=(val,1,0); return 2,l
        if pc==2: S['lock']=None; return 'ret',('put',val,0)
    return step
def gc_etag():
    """as gc2, but C6 compares the etag alone"""
    g=gc2('g')
    def step(pc,l,S,pid,C):
        if pc==71:
            if l[1] is not None and l[1][1]==l[0][1]: S['loose']=None
            return 8,()
        return g(pc,l,S,pid,C)
    return step
go2('WRONG import keeps the etag of an edited value (or expire keeps it), C6 compares the etag alone',cfg2(),[('import(same etag)||gc||get, loose',V1,[],lambda:[put_same('edited'),gc_etag(),get2()],A1)])
go2('the same, C6 compares the whole header line',cfg2(),[('import(same etag)||gc||get, loose',V1,[],lambda:[put_same('edited'),gc2(),get2()],A1)])

# ======================================================================================================================
# Part 3: named locks, whose files gc removes when nobody holds them. A lock is one on a file, not on a name: whoever
# waits for one waits for a file that may have lost its name. S['at'] is the file that has the name, S['held'] who
# holds which file, exclusively, and S['in'] who believes to hold the lock.
# ======================================================================================================================
def locker():
    def step(pc,l,S,pid,C):
        if pc==0: return (1,()) if S['at'] is None else (2,(S['at'],))   # opens it, or
        if pc==1:                                                       # makes it, unless another has
            if S['at'] is None: S['new']+=1; S['at']=S['new']
            return 2,(S['at'],)
        if pc==2:
            if l[0] in dict(S['held']): return None
            S['held']+=((l[0],pid),); return (3 if C.recheck else 4),l
        if pc==3:
            if S['at']==l[0]: return 4,l
            S['held']=tuple(h for h in S['held'] if h[1]!=pid); return 0,()
        if pc==4: S['in']+=(pid,); return 5,l
        if pc==5: S['in']=tuple(p for p in S['in'] if p!=pid); return 6,l
        if pc==6: S['held']=tuple(h for h in S['held'] if h[1]!=pid); return 'ret',()
    return step
def sweeper():
    def step(pc,l,S,pid,C):
        if pc==0: return ('ret',()) if S['at'] is None else (1,(S['at'],))
        if pc==1:
            if l[0] in dict(S['held']): return 'ret',()
            S['held']+=((l[0],pid),); return 2,l
        if pc==2:
            if not C.holds: S['held']=tuple(h for h in S['held'] if h[1]!=pid)
            return 3,(l[0],S['at']==l[0] or not C.looks)
        if pc==3:
            if l[1]: S['at']=None
            return 4,l
        if pc==4: S['held']=tuple(h for h in S['held'] if h[1]!=pid); return 'ret',()
    return step
def explore3(C,procs,at):
    S0={'at':at,'new':1,'held':(),'in':()}
    seen=set(); bad=[]; stack=[(S0,tuple((0,()) for _ in procs))]
    while stack:
        S,P=stack.pop()
        k=(tuple(sorted(S.items())),P)
        if k in seen: continue
        seen.add(k)
        if len(S['in'])>1: bad.append(P); continue
        prog=all(pc=='done' for pc,_ in P)
        for i,(pc,l) in enumerate(P):
            if pc=='done': continue
            S2=dict(S); r=procs[i](pc,l,S2,i,C)
            if r is not None: prog=True; stack.append((S2,P[:i]+((('done',()) if r[0]=='ret' else r),)+P[i+1:]))
            if pc!=0:                                                   # killed: the kernel frees what it holds
                S2=dict(S); prog=True
                S2['held']=tuple(h for h in S['held'] if h[1]!=i)
                S2['in']=tuple(p for p in S['in'] if p!=i)
                stack.append((S2,P[:i]+(('done',()),)+P[i+1:]))
        if not prog: bad.append(('DEADLOCK',P))
    return len(seen),bad
def go3(title,**k):
    C=Cfg(); C.recheck=True; C.holds=True; C.looks=True
    for a,b in k.items(): setattr(C,a,b)
    states,bad=0,[]
    for procs in ([locker(),locker(),sweeper()],[locker(),locker(),sweeper(),sweeper()],[locker(),locker(),locker(),sweeper()]):
        for at in (None,1):
            n,b=explore3(C,procs,at); states+=n; bad+=b
    TALLY.tell(title,states,len(bad),bad[:1])
go3('gc removes the file of a named lock that it holds and finds at its path; who gets a lock looks whether its file is there still')
go3('WRONG who gets a lock does not look whether its file is there still',recheck=False)
go3('WRONG gc removes the file when it holds it no more',holds=False)
go3('WRONG gc does not look whether the file that it holds is the one at the path',looks=False)

# ======================================================================================================================
# Part 4: a put through a namespace that a process keeps open, beside those who remove namespaces. Nothing is looked up
# by its path but once, when the lock of the shard is held: S['at'] is the namespace at the path, S['held'] who holds
# the lock of which, S['drafts'] which files are in their tmp/, and S['lost'] tells that an entry got its name in a
# namespace that was no longer at the path.
# ======================================================================================================================
def free(S,pid): S['held']=tuple(h for h in S['held'] if h[1]!=pid)
def put_in(kept):
    def step(pc,l,S,pid,C):
        if pc==0:                                                        # the draft, in what is kept, or found
            ns=kept or S['at']
            if ns in S['deleted']: return 'slow',()
            if ns is None: return 'slow',()
            S['drafts']|={(ns,pid)}; return ('early' if C.proof=='before' else 'try') if kept else 'slow',(ns,)
        if pc=='early': return ('try' if S['at']==l[0] else 'slow'),l
        if pc=='try':                                                    # never waits for a lock that is not proved
            if l[0] in S['deleted'] or l[0] in dict(S['held']): return 'slow',l
            S['held']+=((l[0],pid),); return ('prove' if C.proof=='after' else 'name'),l+l
        if pc=='prove':
            if S['at']==l[0]: return 'name',l
            free(S,pid); return 'slow',l[:1]
        if pc=='slow':
            if S['at'] is None: S['new']+=1; S['at']=S['new']
            return 'lock',(l[0] if l else None,S['at'])
        if pc=='lock':
            if l[1] in S['deleted']: return 'slow',l[:1]
            if l[1] in dict(S['held']): return None
            S['held']+=((l[1],pid),); return 'again',l
        if pc=='again':
            if S['at']==l[1]: return 'name',l
            free(S,pid); return 'slow',l[:1]
        if pc=='name':                                                   # a draft of another namespace is copied
            if (l[0],pid) not in S['drafts'] or l[0]!=l[1]:
                free(S,pid)
                if l[1] in S['deleted']: return 'slow',()
                S['drafts']|={(l[1],pid)}; return 'slow',(l[1],)
            S['drafts']-={(l[0],pid)}; S['lost']=S['lost'] or S['at']!=l[1]; return 'free',l
        if pc=='free': free(S,pid); return 'ret',()
    return step
def dropper():
    def step(pc,l,S,pid,C):
        if pc==0: return ('ret',()) if S['at'] is None else (1,(S['at'],))
        if pc==1:
            if C.locks and l[0] in dict(S['held']): return None
            if C.locks: S['held']+=((l[0],pid),)
            return 2,l
        if pc==2:
            if S['at']!=l[0]: free(S,pid); return 'ret',()
            S['at']=None; return 3,l
        if pc==3: free(S,pid); return 4,l
        if pc==4: S['drafts']=frozenset(d for d in S['drafts'] if d[0]!=l[0]); S['deleted']|={l[0]}; return 'ret',()
    return step
def explore4(C,procs):
    S0={'at':1,'new':1,'held':(),'drafts':frozenset(),'deleted':frozenset(),'lost':False}
    seen=set(); bad=[]; stack=[(S0,tuple((0,()) for _ in procs))]
    while stack:
        S,P=stack.pop()
        k=(tuple(S.values()),P)
        if k in seen: continue
        seen.add(k)
        if S['lost']: bad.append(P); continue
        prog=all(pc=='done' for pc,_ in P)
        for i,(pc,l) in enumerate(P):
            if pc=='done': continue
            S2=dict(S); r=procs[i](pc,l,S2,i,C)
            if r is not None: prog=True; stack.append((S2,P[:i]+((('done',()) if r[0]=='ret' else r),)+P[i+1:]))
            if pc!=0: S2=dict(S); free(S2,i); prog=True; stack.append((S2,P[:i]+(('done',()),)+P[i+1:]))
        if not prog: bad.append(('DEADLOCK',P))
    return len(seen),bad
def go4(title,**k):
    C=Cfg(); C.proof='after'; C.locks=True
    for a,b in k.items(): setattr(C,a,b)
    states,bad=0,[]
    for procs in ([put_in(1),put_in(1),dropper()],[put_in(1),put_in(None),dropper(),dropper()]):
        n,b=explore4(C,procs); states+=n; bad+=b
    TALLY.tell(title,states,len(bad),bad[:1])
go4('put in a namespace that is kept: its lock if it is free, then one look at the path; else all is looked up')
go4('WRONG the look at the path comes before the lock',proof='before')
go4('WRONG there is no look at the path',proof='never')
go4('WRONG who removes a namespace does not wait for its locks',locks=False)
TALLY.end()
