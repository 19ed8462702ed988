#!/usr/bin/env python3
"""Lists: the range of numbers in which all elements are, through power cuts, kills and copies.

What is there after a power cut is what `pop` must come to: an element outside of a range that is
believed is lost. A reboot is never needed for a cut: the file system may go down and be mounted again."""
import itertools
from disk import T,states
from tally import Tally
TALLY=Tally('lists')
ROOT,TMP,LIST=1,4,30
SHARDS=(10,11)                                    # an element's number chooses its shard
def shard(n): return SHARDS[n%2]
def name(lo,hi): return ('range',lo,hi)
NOTED,OTHER=50,51                                 # the inode in the note on the file of the range, and one that is not
def base(elements,lo,hi,ino=NOTED):
    dirs={ROOT:{'tmp':TMP,'list':LIST},TMP:{},LIST:{name(lo,hi):ino},10:{},11:{}}; data={ino:'EMPTY'}
    for n in elements: dirs[shard(n)][n]=60+n; data[60+n]=('E',n)
    return {'dirs':dirs,'data':data}
def push(t,n,acks=True):
    i=t.creat(TMP,f't{n}'); t.write(i,('E',n)); t.sync(i)
    t.rename(TMP,f't{n}',shard(n),n,i); t.sync(shard(n))
    if acks: t.ack(('push',n))
def pop(t,n,dies=False):
    """dies: killed between the removal and its sync, so that nobody was told"""
    t.unlink(shard(n),n)
    if not dies: t.sync(shard(n)); t.ack(('pop',n))
def turn(t,old,new,ino=50): t.rename(LIST,old,LIST,new,ino)
def believed(dirs):
    """One file, and it is the one that was noted. Of the note a power cut may leave anything, so here it says yes whenever it could."""
    files=list(dirs[LIST].items())
    return files[0][0] if len(files)==1 and files[0][1]!=OTHER else None
def judge(dirs,data,acks,proof=believed):
    items={n for s in SHARDS for n,i in dirs[s].items() if data[i]==('E',n)}
    popped={n for what,n in acks if what=='pop'}
    for what,n in acks:
        if what=='push' and n not in items|popped: return f'acknowledged element {n} is gone'
    if items&popped: return f'taken element {items&popped} is back'
    r=proof(dirs)
    if r and any(not r[1]<=n<r[2] for n in items): return f'{items} are there, and pop looks at {r[1:3]}'
def cuts(title,init,t,proof=believed):
    n=bad=0; example=None
    for dirs,data,acks,at in states(init,t.ops):
        n+=1; told=judge(dirs,data,acks,proof)
        if told: bad+=1; example=example or told
    TALLY.tell(title,n,bad,example)
# What was: a hint, written in place and never synced, which is believed in the same boot.
t=T(); t.write(50,('R',1,4)); push(t,3)
def hint(dirs):
    c=hinted.get(dirs[LIST].get('ends'),'EMPTY'); return ('range',c[1],c[2]) if c[0]=='R' else None
n=bad=0
for dirs,data,acks,at in states({'dirs':{**base((1,2),1,3)['dirs'],LIST:{'ends':50}},'data':{**base((1,2),1,3)['data'],50:('R',1,3)}},t.ops):
    # Written in place and not synced, the file may as well be what it was before.
    for old in (data[50],('R',1,3)):
        hinted={50:old}; n+=1; bad+=bool(judge(dirs,data,acks,hint))
TALLY.tell('WRONG a hint that is never synced and believed in the same boot',n,bad)
# push
t=T(); push(t,3); cuts('push within the range',base((1,2),1,4),t)
def beyond(synced=True):
    t=T(); turn(t,name(1,4),name(1,6))
    if synced: t.sync(LIST)
    push(t,4); return t
cuts('push beyond the range: rename, sync, publish',base((1,2,3),1,4),beyond())
cuts('WRONG push beyond the range without the sync',base((1,2,3),1,4),beyond(False))
t=T(); push(t,4); turn(t,name(1,4),name(1,6)); t.sync(LIST)
cuts('WRONG push that widens the range behind the element',base((1,2,3),1,4),t)
def found_wide(settles):
    t=T(); turn(t,name(1,4),name(1,6))      # killed here
    if settles: t.sync(LIST)
    push(t,4); return t
cuts('widened by one who was killed before the sync; the next one syncs, as no mark says that it is durable',base((1,2,3),1,4),found_wide(True))
cuts('WRONG the same, and the next one believes what it sees',base((1,2,3),1,4),found_wide(False))
def far(another):
    t=T(); turn(t,name(1,4),name(1,8)); t.sync(LIST); push(t,4)
    if another: push(t,6); pop(t,6,dies=True)
    turn(t,name(1,8),name(1,6)); push(t,5); return t
cuts('widened by far, then trimmed without a sync of what nobody has used',base((1,2,3),1,4),far(False))
cuts('WRONG the same where another has used it, and was killed',base((1,2,3),1,4),far(True))
# pop
t=T(); pop(t,1); cuts('pop',base((1,2,3),1,4),t)
def narrow(syncs):
    t=T(); pop(t,1,dies=True); pop(t,2)
    if syncs: t.sync(shard(1)); t.sync(shard(2))
    turn(t,name(1,4),name(3,4)); pop(t,3); return t
cuts('narrowed behind syncs of the shards whose numbers it gives up',base((1,2,3),1,4),narrow(True))
cuts('WRONG narrowed without: a removal whose process was killed is undone outside of the range',base((1,2,3),1,4),narrow(False))
t=T(); pop(t,1); t.sync(shard(1)); turn(t,name(1,4),name(2,4)); turn(t,name(2,4),name(2,6)); t.sync(LIST); push(t,4); pop(t,2)
cuts('narrowed without a sync of its own, then widened',base((1,2,3),1,4),t)
# many elements come at once: the range is given up before
def bulk(synced):
    t=T(); t.unlink(LIST,name(1,4))
    if synced: t.sync(LIST)
    push(t,9); return t
cuts('bulk import: the range is removed, and that is synced, before anything is committed',base((1,2,3),1,4),bulk(True))
cuts('WRONG bulk import without that sync; also a put by key that finds no range and is content',base((1,2,3),1,4),bulk(False))
# counted anew
def count(syncs,wide):
    t=T(); pop(t,2,dies=True)                        # then counted: 1 and 3 are there, or only 3
    pop(t,1,dies=True)
    if syncs: t.sync(10); t.sync(11)
    t.unlink(LIST,name(1,4)); i=t.creat(TMP,'draft'); t.rename(TMP,'draft',LIST,name(3,wide),i); t.sync(LIST)
    if wide>4: push(t,4)
    return t
for wide in (4,6):
    cuts('counted anew behind a sync of all shards, the old file goes first',base((1,2,3),1,4,ino=OTHER),count(True,wide))
    cuts('WRONG counted anew without: a removal that nobody has synced is undone outside',base((1,2,3),1,4,ino=OTHER),count(False,wide))
# an older kv on the same store leaves its file beside the range
t=T(); i=t.creat(ROOT,'ends'); t.write(i,('R',1,5)); push(t,4)
def no_ends(dirs): return None if 'ends' in dirs[ROOT] else believed(dirs)
n=bad=0
for dirs,data,acks,at in states(base((1,2,3),1,4),t.ops):
    # That program's file may be lost in a power cut like anything that is not synced.
    if 'ends' not in dirs[ROOT]: continue
    n+=1; bad+=bool(judge(dirs,data,acks,no_ends))
TALLY.tell('a file `ends` beside the range: it is not believed',n,bad)
n=bad=0
for dirs,data,acks,at in states(base((1,2,3),1,4),t.ops): n+=1; bad+=bool(judge(dirs,data,acks))
TALLY.tell('WRONG a file `ends` beside the range is passed over',n,bad)
# Copies that are made while others push and pop: each directory is read at another time.
LIVE=[(name(1,4),{1,2,3}),(name(1,6),{1,2,3}),(name(1,6),{1,2,3,4}),(name(1,6),{1,2,3}),(name(1,4),{1,2,3}),(name(2,4),{2,3})]
def copies(title,proof,over):
    n=bad=0
    for first,then in itertools.product(range(len(LIVE)),repeat=2):
        for now in LIVE[max(first,then):] if over else [None]:
            n+=1; items=LIVE[then][1]|(now[1] if over else set())
            # A copy is another file, or the same one with another time of its last change.
            files={LIVE[first][0]:'copy'}
            if over: files={**files,now[0]:'written over' if now[0]==LIVE[first][0] else 'noted'}
            elements={s:{k:60+k for k in items if shard(k)==s} for s in SHARDS}
            one=list(files.items()) if len(files)==1 else [(None,None)]
            r=one[0][0] if one[0][1] in proof else None
            dirs={ROOT:{},LIST:files,**elements}
            bad+=bool(judge(dirs,{60+k:('E',k) for k in items},(),lambda dirs:r))
    TALLY.tell(title,n,bad)
copies('a live copy is another file than was noted',('noted',),False)
copies('WRONG a copy is believed',('noted','copy'),False)
copies('cp -a over the store: two files, or one whose last change is not the one noted',('noted',),True)
copies('WRONG the same, and only the inode is noted',('noted','written over'),True)
# Looking for an element while gc folds it into a pack: at its file first, then in the packs.
def looks(order):
    n=bad=0
    for at in itertools.combinations(range(4),2):    # when of four steps the two looks are
        loose,packed,gc,found=True,False,0,False
        for step in range(4):
            if step in at:
                found|={'file':loose,'packs':packed}[order[at.index(step)]]
            else:
                packed,loose=(True,loose) if gc==0 else (packed,False); gc+=1
        n+=1; bad+=not found
    return n,bad
TALLY.tell('looked for at its file, then in the packs, while gc folds it',*looks(('file','packs')))
TALLY.tell('WRONG looked for in the packs, then at its file',*looks(('packs','file')))
TALLY.end()
