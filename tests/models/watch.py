#!/usr/bin/env python3
"""`kv watch` on a directory: one key, whoever writes, removes and folds it, a clock by which it expires, and a watcher
that looks at all, or only at the file that an event names.

What is told is what there was at some moment since the look before; and whoever waits, with no event to come, has told
what there is."""
from tally import Tally
TALLY=Tally('watch')
GONE='T'                                       # a tombstone
# world: (loose, packed, is the clock past the expiry, what gc is folding, what is still to be done)
# queue: events that were not read: o, a name in a shard; m, the manifest; !, some were dropped
# watch: (step, is armed, told, what the look has found, what there was since the look before, was it replaced meanwhile)
OPS=('put','ttl','remove','fold','bulk')
def live(etag,late): return 0 if etag in (0,GONE) or (late and str(etag).endswith('t')) else etag
def there(world): return live(world[0] or world[1],world[2])
def visible(world): return {there(world)}|({live(world[1],world[2])} if world[3]=='B' else set())
def worlds(world):
    loose,packed,late,folding,left=world
    if left and folding!='B':
        n=len(left)
        for op in OPS:
            rest=left[1:]
            if op in ('put','ttl'): yield (f'{n}t' if op=='ttl' else n,packed,late,folding,rest),'o',bool(loose)
            elif op=='remove' and (loose or packed): yield (GONE if packed or folding else 0,packed,late,folding,rest),'o',False
            elif op=='fold' and loose and not folding: yield (loose,loose,late,loose,rest),'m',False
            # Many are put into a pack at once, and then the file that is older goes; the shard is locked until then.
            elif op=='bulk' and not folding: yield (loose,n,late,'B' if loose else 0,rest),'m',False
    if folding=='B': yield (0,packed,late,0,left),'o',False
    elif folding: yield (0 if loose==folding else loose,packed,late,0,left),'o' if loose==folding else '',False
    if not late: yield (loose,packed,True,folding,left),'',False
def told(watch,found): return ('wait',True,found,None,frozenset((found,)),False)
def watches(world,queue,watch,rule):
    step,armed,last,found,was,moved=watch
    loose,packed,late,_,_=world
    def to(step,q=queue,**new):
        at=dict(armed=armed,last=last,found=found,was=was,moved=moved); at.update(new)
        return q,(step,at['armed'],at['last'],at['found'],at['was'],at['moved'])
    if step=='begin': yield to('arm','') if rule=='look first' and found is not None else to('all') if rule=='look first' else to('arm')
    elif step=='arm': yield to('wait' if rule=='look first' else 'all',armed=True)
    elif step=='wait':
        due=rule!='no clock' and late and str(last).endswith('t')
        if not queue and not due: return
        some=set(queue)-{'o'}
        if rule=='no manifest': some-={'m'}
        if rule=='overflow': some-={'!'}
        look='all' if some or due else 'name' if 'o' in queue else 'wait'
        if rule=='read late': yield to(look+' and read')
        elif queue or due: yield to(look,'')
    elif step.startswith('all'):                                            # the loose entries, then the packs
        seen=loose
        yield to(step.replace('all','packs'),found=loose)
        # A file that is replaced while its directory is read may be missed: then it is not listed.
        if moved: yield to(step.replace('all','packs'),found=GONE)
    elif step.startswith('packs'):
        seen=live(found or packed,late)
        if not seen and last and rule!='missed is gone': seen=there(world)   # whoever is missed is looked up
        yield to('tell and read' if 'read' in step else 'tell',found=seen)
    elif step.startswith('name') and not loose and not last and packed and rule!='unknown is gone': yield to(step.replace('name','all'))
    elif step.startswith('name'):
        seen=live(loose,late) if loose else there(world) if last and rule!='no file is gone' else 0
        yield to('tell and read' if 'read' in step else 'tell',found=seen)
    elif step.startswith('tell'):
        q='' if 'read' in step else queue
        yield (q,('begin' if not armed else 'wait',armed,found,found if not armed else None,frozenset((there(world),)),False))
def explore(title,rule):
    # The key was there before: the loose entry is one that packs hold too, or not.
    starts=[((a,b,False,0,(1,2,3)),'',('begin',False,0,None,frozenset((live(a or b,False),)),False)) for a,b in ((0,0),(9,0),(0,9))]
    seen,todo,bad,example=set(starts),list(starts),0,None
    while todo:
        world,queue,watch=state=todo.pop()
        step,armed,last,found,was,moved=watch
        nexts=[]
        for new,event,replaced in worlds(world):
            now=watch[:4]+(was|visible(new),moved or (replaced and step.startswith('all')))
            for q in {queue+event if event and event not in queue and armed else queue,'!' if event and armed else queue}: nexts.append((new,q,now))
        moves=[(world,q,w) for q,w in watches(world,queue,watch,rule)]
        why=None
        if step.startswith('tell') and found!=last and found not in was: why=f'{found} was told, and there was {set(was)}'
        if step=='wait' and not moves and there(world)!=last: why=f'it waits, has told {last}, and there is {there(world)}'
        # What is due by the clock alone is told by who waits for nothing else.
        if why: bad+=1; example=example or why; continue
        for nxt in nexts+moves:
            if nxt not in seen: seen.add(nxt); todo.append(nxt)
    TALLY.tell(title,len(seen),bad,example)
explore('the watch stands, then all is looked at, then what events name','right')
explore('WRONG a look before the watch stands','look first')
explore('WRONG events are read behind the look that they led to','read late')
explore('WRONG what a listing misses is gone','missed is gone')
explore('WRONG what has no file of its own is gone','no file is gone')
explore('WRONG what has no file of its own, and was not seen, is gone','unknown is gone')
explore('WRONG a new manifest is no reason to look at all','no manifest')
explore('WRONG dropped events are none','overflow')
explore('WRONG nobody looks at the clock','no clock')
TALLY.end()
